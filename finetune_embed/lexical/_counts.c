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
    int32_t *slots; /* `most` of them, where `distinct` finds items */
    Py_ssize_t count, room, most;
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
        uint64_t words[2] = {0, key[index->width - 1]};
        memcpy(words, index->keys + (size_t)place * size, 8);
        if (index->width > 1) memcpy(words + 1, index->keys + (size_t)place * size + 8, 8);
        if (words[0] == key[0] && words[1] == key[index->width - 1]) return index->slots + slot;
    }
    return NULL;
}

/* Returns the place of a key, or -1. */
static int64_t find(const index_t *index, const uint64_t *key) {
    const int32_t *slot = slot_of(index, key);
    return slot && *slot < index->count ? *slot : -1;
}

/* Finds the words of a text, and the pairs of neighbours that are among the keys. */
static const char *words_of(found_t *found, const int64_t *at, int64_t length, int64_t size, const index_t *pairs) {
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
    return NULL;
}

/* The parts of words: those of word `w` are of[starts[w]:starts[w + 1]]. */
typedef struct {
    const int64_t *of, *starts;
    Py_ssize_t kinds, total; /* of words; of parts */
} parts_t;

/* Finds the parts of the words of a text. */
static const char *parts_of(found_t *found, const int64_t *at, int64_t length, const parts_t *parts) {
    for (int64_t i = 0; i < length; i++) {
        if (at[i] < 0 || at[i] >= parts->kinds) return "a number is not that of a word";
        int64_t start = parts->starts[at[i]], end = parts->starts[at[i] + 1];
        if (start < 0 || start > end || end > parts->total) return "a word begins or ends outside of the parts";
        if (!reserve(found, end - start)) return "memory";
        for (int64_t j = start; j < end; j++) {
            if (parts->of[j] < 0) return "a part is negative";
            found->items[found->count++] = parts->of[j];
        }
    }
    return NULL;
}

/* Counts words and pairs, or, where these are given, parts. */
static const char *count(job_t *job, found_t *found, int64_t size, const index_t *pairs, const parts_t *parts) {
    const int64_t *at = job->tokens;
    job->starts[0] = 0;
    for (Py_ssize_t text = 0; text < job->texts; at += job->lengths[text++]) {
        int64_t length = job->lengths[text];
        const char *wrong = parts ? parts_of(found, at, length, parts) : words_of(found, at, length, size, pairs);
        if (wrong) return wrong;
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

/* Returns whether texts of these lengths have no more tokens than there are, with the error set if not. */
static int fits_tokens(const int64_t *lengths, Py_ssize_t texts, int64_t left) {
    for (Py_ssize_t text = 0; text < texts; left -= lengths[text++])
        if (lengths[text] < 0 || lengths[text] > left) {
            PyErr_SetString(PyExc_ValueError, "the lengths are not those of the tokens");
            return 0;
        }
    return 1;
}

/* Fills the job from the first five buffers; returns whether they fit together, with the error set if not. */
static int job_from(job_t *job, Py_buffer *b) {
    Py_ssize_t sizes[FIRST];
    for (int i = 0; i < FIRST; i++)
        if ((sizes[i] = numbers_in(&b[i], names[i])) < 0) return 0;
    *job = (job_t){b[TOKENS].buf, b[LENGTHS].buf, sizes[LENGTHS], b[COLUMNS].buf, b[COUNTS].buf, b[STARTS].buf,
                   sizes[COLUMNS], 0};
    if (!fits_tokens(job->lengths, job->texts, sizes[TOKENS])) return 0;
    if (sizes[COUNTS] == sizes[COLUMNS] && sizes[STARTS] == job->texts + 1) return 1;
    PyErr_SetString(PyExc_ValueError, "columns, counts and starts are not of one size");
    return 0;
}

/* Returns the number of counts, None without a job, or NULL with the error set. */
static PyObject *ended(const job_t *job, const char *wrong) {
    if (!wrong) return job ? PyLong_FromSsize_t(job->written) : Py_NewRef(Py_None);
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

/* Fills in the parts of words from two buffers; returns whether they are that, with the error set if not. */
static int parts_from(parts_t *parts, const Py_buffer *of, const Py_buffer *starts) {
    Py_ssize_t kinds = numbers_in(starts, names[SECOND]) - 1, total = numbers_in(of, names[FIRST]);
    if (kinds == -1) PyErr_SetString(PyExc_ValueError, "the starts of parts have no end");
    *parts = (parts_t){of->buf, starts->buf, kinds, total};
    return kinds >= 0 && total >= 0;
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
        wrong = count(&job, &found, size, &pairs, NULL);
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
    parts_t parts;
    if (parts_from(&parts, &b[FIRST], &b[SECOND]) && job_from(&job, b)) {
        found_t found = {0};
        const char *wrong;
        Py_BEGIN_ALLOW_THREADS;
        wrong = count(&job, &found, 0, NULL, &parts);
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

/* What the features of one kind weigh, and their rows of the weights of all labels. */
typedef struct {
    const float *idf, *weight; /* (features,), (features, labels) */
    Py_ssize_t features, labels;
    float share; /* of a text's features */
} scored_t;

static double weight_of(const scored_t *by, int64_t feature, int64_t count) {
    return (count > 1 ? 1 + log((double)count) : 1) * by->idf[feature];
}

/* Leaves each of the features once, in the order in which they first occur; `spare` is how often each does. Returns
 * their number, or -1 without memory. */
static Py_ssize_t distinct(found_t *found) {
    Py_ssize_t kinds = 0, mask = 1;
    while (mask < 4 * found->count) mask *= 2;
    if (mask > found->most) {
        int32_t *slots = realloc(found->slots, (size_t)mask * sizeof *slots);
        if (!slots) return -1;
        found->slots = slots, found->most = mask;
    }
    memset(found->slots, -1, (size_t)mask-- * sizeof *found->slots);
    for (Py_ssize_t i = 0; i < found->count; i++) {
        int64_t item = found->items[i];
        uint64_t slot = hash_end(hash_start + (uint64_t)item) & (uint64_t)mask;
        while (found->slots[slot] >= 0 && found->items[found->slots[slot]] != item) slot = (slot + 1) & (uint64_t)mask;
        if (found->slots[slot] < 0) {
            found->items[kinds] = item, found->spare[kinds] = 0;
            found->slots[slot] = (int32_t)kinds++;
        }
        found->spare[found->slots[slot]]++;
    }
    return kinds;
}

/* Adds to the scores of a text those of its features, which are then forgotten. */
static const char *add_scores(found_t *found, const scored_t *by, float *restrict out) {
    Py_ssize_t kinds = found->count <= INT32_MAX ? distinct(found) : -1;
    const int64_t *items = found->items, *counts = found->spare;
    double square = 0;
    if (kinds < 0) return "memory";
    for (Py_ssize_t i = 0; i < kinds; i++) {
        if (items[i] >= by->features) return "a feature has no weight";
        double value = weight_of(by, items[i], counts[i]);
        square += value * value;
    }
    double norm = square > 0 ? sqrt(square) : 1;
    for (Py_ssize_t i = 0; i < kinds; i++) {
        float value = (float)(weight_of(by, items[i], counts[i]) / norm) * by->share;
        const float *restrict row = by->weight + items[i] * by->labels;
        for (Py_ssize_t label = 0; label < by->labels; label++) out[label] += value * row[label];
    }
    found->count = 0;
    return NULL;
}

/* score(ids, numbers, lengths, pairs, slots, size, parts, starts_of_parts, idf, idf_of_parts, weight, scores) -> None
 *
 * Adds to `scores` float32 (B, C) what the features of texts weigh, as `weigh` says, times `weight` float32 (F + G, C).
 * The features are those that `count_words` finds by `ids`, with `idf` float32 (F,), then those that `count_parts` finds
 * by `numbers`, with `idf_of_parts` float32 (G,). If G is not 0, what a text has of each kind has the length sqrt(0.5),
 * else 1. */
static PyObject *score(PyObject *self, PyObject *args) {
    (void)self;
    enum { IDS, NUMBERS, SIZES, PAIRS, SLOTS, PARTS, PARTS_STARTS, IDF, IDF_OF_PARTS, WEIGHT, SCORES, ALL };
    Py_buffer b[ALL];
    long long size;
    index_t pairs;
    parts_t parts;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*Ly*y*y*y*y*w*", &b[IDS], &b[NUMBERS], &b[SIZES], &b[PAIRS], &b[SLOTS], &size,
                          &b[PARTS], &b[PARTS_STARTS], &b[IDF], &b[IDF_OF_PARTS], &b[WEIGHT], &b[SCORES]))
        return NULL;
    Py_ssize_t tokens = numbers_in(&b[IDS], "ids"), numbers = numbers_in(&b[NUMBERS], "numbers");
    Py_ssize_t texts = numbers_in(&b[SIZES], "lengths");
    if (tokens < 0 || numbers < 0 || texts < 0 || !fits_tokens(b[SIZES].buf, texts, tokens) ||
        !index_from(&pairs, &b[PAIRS], 1, &b[SLOTS]) || !parts_from(&parts, &b[PARTS], &b[PARTS_STARTS]))
        goto done;
    Py_ssize_t labels = texts ? b[SCORES].len / 4 / texts : 0, row = 4 * labels;
    Py_ssize_t features = b[IDF].len / 4, more = b[IDF_OF_PARTS].len / 4;
    int fits = numbers == tokens && b[SCORES].len == texts * row && size >= 0 && size <= features - pairs.count &&
               (!row || (b[WEIGHT].len % row == 0 && b[WEIGHT].len / row == features + more));
    for (int i = IDF; i < ALL; i++) fits &= b[i].len % 4 == 0 && (uintptr_t)b[i].buf % 4 == 0;
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "ids, numbers, weights and scores do not fit each other");
        goto done;
    }
    const char *wrong = NULL;
    Py_BEGIN_ALLOW_THREADS;
    found_t found = {0};
    float share = more ? (float)sqrt(0.5) : 1;
    scored_t words = {b[IDF].buf, b[WEIGHT].buf, features, labels, share};
    scored_t others = {b[IDF_OF_PARTS].buf, words.weight + features * labels, more, labels, share};
    const int64_t *lengths = b[SIZES].buf, *id = b[IDS].buf, *number = b[NUMBERS].buf;
    float *out = b[SCORES].buf;
    for (Py_ssize_t text = 0; text < texts && !wrong; text++, out += labels) {
        int64_t length = lengths[text];
        wrong = words_of(&found, id, length, size, &pairs);
        if (!wrong) wrong = add_scores(&found, &words, out);
        if (!wrong && more) wrong = parts_of(&found, number, length, &parts);
        if (!wrong && more) wrong = add_scores(&found, &others, out);
        id += length, number += length;
    }
    free(found.items);
    free(found.spare);
    free(found.slots);
    Py_END_ALLOW_THREADS;
    result = ended(NULL, wrong);
done:
    for (int i = 0; i < ALL; i++) PyBuffer_Release(&b[i]);
    return result;
}

static PyMethodDef methods[] = {
    {"place", place, METH_VARARGS, "place(keys, slots, width)"},
    {"count_words", count_words, METH_VARARGS, "count_words(ids, lengths, columns, counts, starts, ...) -> int"},
    {"count_parts", count_parts, METH_VARARGS, "count_parts(numbers, lengths, columns, counts, starts, ...) -> int"},
    {"find_ngrams", find_ngrams, METH_VARARGS, "find_ngrams(characters, lengths, parts, starts, ...) -> int"},
    {"weigh", weigh, METH_VARARGS, "weigh(columns, counts, starts, idf, scales, values)"},
    {"score", score, METH_VARARGS, "score(ids, numbers, lengths, pairs, slots, size, parts, ...)"},
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
