/* How often the features of a text occur in it, and their weights.
 *
 * `counts.py` and `chars.py` have slower counterparts that give the same numbers. The functions take buffers, release the
 * interpreter lock while they work, and never read or write outside of the given lengths: numbers that are places in
 * other buffers are checked. Multiplications and additions are not fused (see the compiler's arguments in
 * pyproject.toml), so results don't depend on the processor.
 */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../_hash.h"

/* Texts, and where their counts go. */
typedef struct {
    const int64_t *tokens, *lengths; /* the tokens of the first text, then those of the second, and so on */
    Py_ssize_t texts;
    int64_t *columns, *counts, *starts;
    Py_ssize_t room, written; /* of columns and counts */
} job_t;

/* The features of one text, each as often as it occurs. */
typedef struct {
    int64_t *items, *spare;
    Py_ssize_t count, room;
} found_t;

/* Makes room for more features; returns whether there is memory. */
static int reserve(found_t *found, Py_ssize_t more) {
    if (more <= found->room - found->count) return 1;
    if (more > PY_SSIZE_T_MAX / 32 - found->count) return 0;
    Py_ssize_t room = 2 * (found->count + more);
    int64_t *items = realloc(found->items, (size_t)room * sizeof *items);
    if (items) found->items = items;
    int64_t *spare = items ? realloc(found->spare, (size_t)room * sizeof *spare) : NULL;
    if (!spare) return 0;
    found->spare = spare, found->room = room;
    return 1;
}

/* Sorts features, which are not negative, byte by byte from the lowest (LSD radix sort). */
static void sort(found_t *found) {
    uint64_t any = 0;
    for (Py_ssize_t i = 0; i < found->count; i++) any |= (uint64_t)found->items[i];
    for (int shift = 0; shift < 64 && any >> shift; shift += 8) {
        Py_ssize_t places[256] = {0}, next = 0;
        for (Py_ssize_t i = 0; i < found->count; i++) places[found->items[i] >> shift & 255]++;
        for (int byte = 0; byte < 256; byte++) {
            Py_ssize_t size = places[byte];
            places[byte] = next, next += size;
        }
        for (Py_ssize_t i = 0; i < found->count; i++)
            found->spare[places[found->items[i] >> shift & 255]++] = found->items[i];
        int64_t *sorted = found->spare;
        found->spare = found->items, found->items = sorted;
    }
}

/* Writes the counts of the features of a text, which are then forgotten; returns whether they fit. */
static int emit(job_t *job, found_t *found, Py_ssize_t text) {
    sort(found);
    for (Py_ssize_t i = 0, next; i < found->count; i = next, job->written++) {
        for (next = i + 1; next < found->count && found->items[next] == found->items[i];) next++;
        if (job->written == job->room) return 0;
        job->columns[job->written] = found->items[i], job->counts[job->written] = next - i;
    }
    found->count = 0;
    job->starts[text + 1] = job->written;
    return 1;
}

/* Keys of `width` 8-byte numbers and where they are: slots of -1 or the place of a key, which is in the first free slot
 * from that of its hash on. */
typedef struct {
    const char *keys; /* at any address */
    int32_t *slots;
    Py_ssize_t count, width;
    uint64_t mask;
} index_t;

/* Returns the slot of a key, or the free one where it belongs; NULL if there is none. */
static int32_t *slot_of(const index_t *index, const uint64_t *key) {
    size_t size = (size_t)index->width * 8;
    uint64_t slot = hash_bytes((const uint8_t *)key, size) & index->mask;
    for (uint64_t step = 0; step <= index->mask; step++, slot = (slot + 1) & index->mask) {
        int32_t place = index->slots[slot];
        if (place < 0 || place >= index->count) return index->slots + slot;
        if (!memcmp(index->keys + (size_t)place * size, key, size)) return index->slots + slot;
    }
    return NULL;
}

/* Returns the place of a key, or -1. */
static int64_t find(const index_t *index, const uint64_t *key) {
    const int32_t *slot = slot_of(index, key);
    return slot && *slot < index->count ? *slot : -1;
}

/* Counts words, and the pairs of neighbours that are among the keys. */
static const char *words(job_t *job, found_t *found, int64_t size, const index_t *pairs) {
    const int64_t *at = job->tokens;
    for (Py_ssize_t text = 0; text < job->texts; at += job->lengths[text++]) {
        int64_t length = job->lengths[text];
        if (!reserve(found, 2 * length)) return "memory";
        for (int64_t i = 0; i < length; i++) {
            if (at[i] < 0) return "an id is negative";
            if (at[i] >= size) continue;
            found->items[found->count++] = at[i];
            if (i == 0 || at[i - 1] >= size || !pairs->count) continue;
            uint64_t key = (uint64_t)(at[i - 1] * size + at[i]);
            int64_t place = find(pairs, &key);
            if (place >= 0) found->items[found->count++] = size + place;
        }
        if (!emit(job, found, text)) return "there is too little room";
    }
    return NULL;
}

/* Counts the parts of words. */
static const char *parts(job_t *job, found_t *found, const int64_t *of, const int64_t *starts, Py_ssize_t kinds,
                         Py_ssize_t total) {
    const int64_t *at = job->tokens;
    for (Py_ssize_t text = 0; text < job->texts; at += job->lengths[text++]) {
        for (int64_t i = 0; i < job->lengths[text]; i++) {
            if (at[i] < 0 || at[i] >= kinds) return "a number is not that of a word";
            int64_t start = starts[at[i]], end = starts[at[i] + 1];
            if (start < 0 || start > end || end > total) return "a word begins or ends outside of the parts";
            if (!reserve(found, end - start)) return "memory";
            for (int64_t j = start; j < end; j++) {
                if (of[j] < 0) return "a part is negative";
                found->items[found->count++] = of[j];
            }
        }
        if (!emit(job, found, text)) return "there is too little room";
    }
    return NULL;
}

/* Returns the number of 8-byte numbers of a buffer, or -1 with the error set. */
static Py_ssize_t numbers_in(const Py_buffer *buffer, const char *name) {
    if (buffer->len % 8 == 0 && (uintptr_t)buffer->buf % 8 == 0) return buffer->len / 8;
    PyErr_Format(PyExc_ValueError, "%s is not an aligned array of 8-byte numbers", name);
    return -1;
}

enum { TOKENS, LENGTHS, COLUMNS, COUNTS, STARTS, FIRST, SECOND, BUFFERS };
static const char *const names[BUFFERS] = {"tokens", "lengths", "columns",        "counts",
                                           "starts", "parts",   "starts of parts"};

/* Fills the job from the first five buffers; returns whether they fit together, with the error set if not. */
static int job_from(job_t *job, Py_buffer *b) {
    Py_ssize_t sizes[FIRST];
    for (int i = 0; i < FIRST; i++)
        if ((sizes[i] = numbers_in(&b[i], names[i])) < 0) return 0;
    *job = (job_t){b[TOKENS].buf, b[LENGTHS].buf, sizes[LENGTHS], b[COLUMNS].buf, b[COUNTS].buf, b[STARTS].buf,
                   sizes[COLUMNS], 0};
    int64_t left = sizes[TOKENS];
    for (Py_ssize_t text = 0; text < job->texts; left -= job->lengths[text++])
        if (job->lengths[text] < 0 || job->lengths[text] > left) {
            PyErr_SetString(PyExc_ValueError, "the lengths are not those of the tokens");
            return 0;
        }
    if (sizes[COUNTS] == sizes[COLUMNS] && sizes[STARTS] == job->texts + 1) return 1;
    PyErr_SetString(PyExc_ValueError, "columns, counts and starts are not of one size");
    return 0;
}

/* Returns the number of counts, or NULL with the error set. */
static PyObject *ended(const job_t *job, const char *wrong) {
    if (!wrong) return PyLong_FromSsize_t(job->written);
    if (strcmp(wrong, "memory") == 0) return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, wrong);
    return NULL;
}

/* Fills an index from the buffers of keys and slots; returns whether it is one, with the error set if not. */
static int index_from(index_t *index, const Py_buffer *keys, Py_ssize_t width, const Py_buffer *slots) {
    Py_ssize_t room = slots->len / 4;
    *index = (index_t){keys->buf, slots->buf, keys->len / 8 / width, width, (uint64_t)room - 1};
    if (slots->len % 4 == 0 && (uintptr_t)slots->buf % 4 == 0 && room > index->count && !(room & (room - 1)) &&
        keys->len % (8 * width) == 0 && index->count <= INT32_MAX)
        return 1;
    PyErr_SetString(PyExc_ValueError, "keys and slots do not fit each other");
    return 0;
}

/* place(keys, slots, width) -> None
 *
 * Writes to `slots` int32 (S,), a power of 2, where each of the keys int64 (P, width) is found; width is 1 or 2. */
static PyObject *place(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer keys, slots;
    int width, fits = 0;
    index_t index;
    if (!PyArg_ParseTuple(args, "y*w*i", &keys, &slots, &width)) return NULL;
    if (width != 1 && width != 2)
        PyErr_SetString(PyExc_ValueError, "keys are not of 1 or 2 numbers");
    else
        fits = index_from(&index, &keys, width, &slots);
    if (fits) {
        Py_BEGIN_ALLOW_THREADS;
        memset(index.slots, -1, (size_t)slots.len);
        for (int32_t i = 0; i < index.count; i++) {
            uint64_t key[2];
            memcpy(key, index.keys + (Py_ssize_t)i * width * 8, (size_t)width * 8);
            *slot_of(&index, key) = i;
        }
        Py_END_ALLOW_THREADS;
    }
    PyBuffer_Release(&keys);
    PyBuffer_Release(&slots);
    return fits ? Py_NewRef(Py_None) : NULL;
}

/* count_words(ids, lengths, columns, counts, starts, pairs, slots, size) -> int
 *
 * Texts, whose numbers of tokens are `lengths` int64 (B,), have the tokens `ids` int64 (N,). Writes the ids below `size`
 * of each text, and `size` plus the place in `pairs` int64 (P,) of `first * size + second` of its neighbours, ascending,
 * to `columns` int64 (M,), and how often each occurs to `counts`. `starts` int64 (B + 1,) is where the texts start.
 * Returns how many were written. `slots` is as `place` fills it. */
static PyObject *count_words(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[BUFFERS];
    long long size;
    job_t job;
    index_t pairs;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*w*w*w*y*y*L", &b[TOKENS], &b[LENGTHS], &b[COLUMNS], &b[COUNTS], &b[STARTS],
                          &b[FIRST], &b[SECOND], &size))
        return NULL;
    if (size < 0 || size > INT32_MAX)
        PyErr_SetString(PyExc_ValueError, "there are too many words");
    else if (job_from(&job, b) && index_from(&pairs, &b[FIRST], 1, &b[SECOND])) {
        found_t found = {0};
        const char *wrong;
        Py_BEGIN_ALLOW_THREADS;
        job.starts[0] = 0;
        wrong = words(&job, &found, size, &pairs);
        free(found.items);
        free(found.spare);
        Py_END_ALLOW_THREADS;
        result = ended(&job, wrong);
    }
    for (int i = 0; i < BUFFERS; i++) PyBuffer_Release(&b[i]);
    return result;
}

/* count_parts(numbers, lengths, columns, counts, starts, parts, starts_of_parts) -> int
 *
 * As `count_words`, of texts whose tokens are words by number: the parts of word `w` are those from
 * `starts_of_parts[w]` to `starts_of_parts[w + 1]` of `parts` int64 (Q,). */
static PyObject *count_parts(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[BUFFERS];
    job_t job;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*w*w*w*y*y*", &b[TOKENS], &b[LENGTHS], &b[COLUMNS], &b[COUNTS], &b[STARTS],
                          &b[FIRST], &b[SECOND]))
        return NULL;
    Py_ssize_t kinds = numbers_in(&b[SECOND], names[SECOND]) - 1, total = numbers_in(&b[FIRST], names[FIRST]);
    if (kinds == -1) PyErr_SetString(PyExc_ValueError, "the starts of parts have no end");
    if (kinds >= 0 && total >= 0 && job_from(&job, b)) {
        found_t found = {0};
        const char *wrong;
        Py_BEGIN_ALLOW_THREADS;
        job.starts[0] = 0;
        wrong = parts(&job, &found, b[FIRST].buf, b[SECOND].buf, kinds, total);
        free(found.items);
        free(found.spare);
        Py_END_ALLOW_THREADS;
        result = ended(&job, wrong);
    }
    for (int i = 0; i < BUFFERS; i++) PyBuffer_Release(&b[i]);
    return result;
}

/* Writes the n-grams of 4 characters of words between two blanks, which are those of the index, or which it learns:
 * a new one is appended to its keys, `most` in all. Returns how many there are then, or -1 if they have no room. */
static int64_t ngrams(index_t *index, char *learned, Py_ssize_t most, const uint32_t *characters,
                      const int64_t *lengths, Py_ssize_t words, int64_t *parts, Py_ssize_t room, int64_t *starts) {
    Py_ssize_t written = 0;
    for (Py_ssize_t word = 0; word < words; characters += lengths[word++]) {
        int64_t length = lengths[word];
        starts[word] = written;
        for (int64_t start = -1; start < (length > 1 ? length - 2 : length - 1); start++) {
            uint32_t window[4];
            uint64_t key[2];
            for (int i = 0; i < 4; i++)
                window[i] = start + i >= 0 && start + i < length ? characters[start + i] : ' ';
            memcpy(key, window, sizeof key);
            int32_t *slot = slot_of(index, key);
            if (!slot) return -1;
            if (*slot < 0 || *slot >= index->count) {
                if (!learned) continue;
                if (index->count == most) return -1;
                memcpy(learned + 16 * index->count, key, sizeof key);
                *slot = (int32_t)index->count++;
            }
            if (written == room) return -1;
            parts[written++] = *slot;
        }
    }
    starts[words] = written;
    return index->count;
}

/* find_ngrams(characters, lengths, parts, starts, ngrams, slots, known) -> int
 *
 * The words have `lengths` int64 (W,) and the `characters` uint32, one after the other. Writes to `parts` int64 (M,)
 * which of `ngrams` uint32 (G, 4) they have, and to `starts` int64 (W + 1,) where those of each word start. `slots` is
 * as `place` fills it for the first `known` n-grams. If `known` is below G, n-grams that are not among these are
 * appended to them. Returns the number of n-grams. */
static PyObject *find_ngrams(PyObject *self, PyObject *args) {
    (void)self;
    enum { PARTS = COLUMNS, PARTS_STARTS, NGRAMS, SLOTS, ALL };
    Py_buffer b[ALL];
    Py_ssize_t known;
    index_t index;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*w*w*y*y*n", &b[TOKENS], &b[LENGTHS], &b[PARTS], &b[PARTS_STARTS], &b[NGRAMS],
                          &b[SLOTS], &known))
        return NULL;
    Py_ssize_t words = numbers_in(&b[LENGTHS], "lengths"), room = numbers_in(&b[PARTS], "parts");
    Py_ssize_t starts = numbers_in(&b[PARTS_STARTS], "starts"), left = b[TOKENS].len / 4;
    if (words < 0 || room < 0 || starts < 0 || !index_from(&index, &b[NGRAMS], 2, &b[SLOTS])) goto done;
    const int64_t *lengths = b[LENGTHS].buf;
    int fits = starts == words + 1 && b[TOKENS].len % 4 == 0 && (uintptr_t)b[TOKENS].buf % 4 == 0 && known >= 0 &&
               known <= index.count && (known == index.count || !(b[NGRAMS].readonly || b[SLOTS].readonly));
    for (Py_ssize_t word = 0; fits && word < words; left -= lengths[word++])
        fits = lengths[word] >= 0 && lengths[word] <= left;
    if (fits) {
        int64_t count;
        Py_BEGIN_ALLOW_THREADS;
        Py_ssize_t most = index.count;
        index.count = known;
        count = ngrams(&index, known < most ? b[NGRAMS].buf : NULL, most, b[TOKENS].buf, lengths, words, b[PARTS].buf,
                       room, b[PARTS_STARTS].buf);
        Py_END_ALLOW_THREADS;
        fits = count >= 0;
        if (fits) result = PyLong_FromLongLong(count);
    }
    if (!fits) PyErr_SetString(PyExc_ValueError, "words, n-grams and room do not fit each other");
done:
    for (int i = 0; i < ALL; i++) PyBuffer_Release(&b[i]);
    return result;
}

/* Writes the weights of the texts of a job, of length 1; returns whether its numbers are places in the others. */
static int weights(const job_t *job, const float *idf, Py_ssize_t features, const double *scales, Py_ssize_t most,
                   float *out) {
    if (job->starts[0] != 0 || job->starts[job->texts] != job->room) return 0;
    for (Py_ssize_t text = 0; text < job->texts; text++) {
        int64_t start = job->starts[text], end = job->starts[text + 1];
        double square = 0;
        if (start > end || end > job->room) return 0;
        for (int64_t i = start; i < end; i++) {
            int64_t column = job->columns[i], count = job->counts[i];
            if (column < 0 || column >= features || count < 0 || count >= most) return 0;
            double value = scales[count] * idf[column];
            square += value * value;
        }
        double norm = square > 0 ? sqrt(square) : 1;
        for (int64_t i = start; i < end; i++)
            out[i] = (float)(scales[job->counts[i]] * idf[job->columns[i]] / norm);
    }
    return 1;
}

/* weigh(columns, counts, starts, idf, scales, values) -> None
 *
 * Writes to `values` float32 (M,) what the features of texts weigh, in rows of length 1: `idf` float32 (F,) times the
 * scale of how often each occurs, `scales` float64 (K,). The others are as `count_words` writes them. */
static PyObject *weigh(PyObject *self, PyObject *args) {
    (void)self;
    enum { IDF = STARTS + 1, SCALES, VALUES };
    Py_buffer b[VALUES + 1];
    int fits = 0;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*w*", &b[COLUMNS], &b[COUNTS], &b[STARTS], &b[IDF], &b[SCALES], &b[VALUES]))
        return NULL;
    Py_ssize_t room = numbers_in(&b[COLUMNS], names[COLUMNS]), counts = numbers_in(&b[COUNTS], names[COUNTS]);
    Py_ssize_t starts = numbers_in(&b[STARTS], names[STARTS]), most = numbers_in(&b[SCALES], "scales");
    if (room < 0 || counts < 0 || starts < 0 || most < 0) goto done;
    if (counts == room && starts > 0 && b[IDF].len % 4 == 0 && (uintptr_t)b[IDF].buf % 4 == 0 &&
        b[VALUES].len == room * 4 && (uintptr_t)b[VALUES].buf % 4 == 0) {
        job_t job = {NULL, NULL, starts - 1, b[COLUMNS].buf, b[COUNTS].buf, b[STARTS].buf, room, 0};
        Py_BEGIN_ALLOW_THREADS;
        fits = weights(&job, b[IDF].buf, b[IDF].len / 4, b[SCALES].buf, most, b[VALUES].buf);
        Py_END_ALLOW_THREADS;
    }
    if (!fits) PyErr_SetString(PyExc_ValueError, "columns, counts and starts do not fit the weights");
done:
    for (int i = COLUMNS; i <= VALUES; i++) PyBuffer_Release(&b[i]);
    return fits ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef methods[] = {
    {"place", place, METH_VARARGS, "place(keys, slots, width)"},
    {"count_words", count_words, METH_VARARGS, "count_words(ids, lengths, columns, counts, starts, ...) -> int"},
    {"count_parts", count_parts, METH_VARARGS, "count_parts(numbers, lengths, columns, counts, starts, ...) -> int"},
    {"find_ngrams", find_ngrams, METH_VARARGS, "find_ngrams(characters, lengths, parts, starts, ...) -> int"},
    {"weigh", weigh, METH_VARARGS, "weigh(columns, counts, starts, idf, scales, values)"},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *self) {
    (void)self;
    return draw_hash_key();
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)prepare}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_counts", "Counts of the features of texts.", 0, methods, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__counts(void) { return PyModuleDef_Init(&module); }
