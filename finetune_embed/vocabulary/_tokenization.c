/* Tokenizes ASCII text and numbers the tokens: the inner loop of `tokenization.py`. For pipelines, it
 * numbers the chunks of texts instead (`chunks.py`).
 *
 * It finds the tokens that the patterns of `tokenizer.py` match. A piece between spaces that is not
 * ASCII, or has a special token in it, is only numbered and left to Python. Everything here has a
 * slower counterpart in Python with the same result. The interpreter lock is released while texts
 * are tokenized, and nothing is read or written out of the given bounds.
 */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../_hash.h"

typedef const uint8_t *bytes_t;

/* ---------------------------------------------------------------- numbered strings */

/* Distinct strings, numbered in the order in which they are added: a hash table with open addressing. */
typedef struct {
    uint8_t *data; /* the strings, one after the other */
    size_t used, room;
    size_t *ends; /* where each ends */
    struct slot {
        uint32_t hash;
        int32_t number; /* -1 for an empty slot */
    } *slots;
    size_t count, mask; /* mask + 1 slots, a power of two, at least twice the number of strings */
} strings_t;

#define NO_MEMORY (-1) /* returned instead of a number */

static void free_strings(strings_t *s) {
    free(s->data);
    free(s->ends);
    free(s->slots);
    memset(s, 0, sizeof *s);
}

/* Doubles the slots and the room for ends. Returns 0 if there is no memory. */
static int grow(strings_t *s) {
    size_t size = s->slots ? 2 * (s->mask + 1) : 1 << 8;
    size_t *ends = realloc(s->ends, size / 2 * sizeof *ends);
    if (ends) s->ends = ends;
    struct slot *slots = malloc(size * sizeof *slots);
    if (!ends || !slots) {
        free(slots);
        return 0;
    }
    for (size_t i = 0; i < size; i++) slots[i].number = -1;
    for (size_t i = 0; s->slots && i <= s->mask; i++) {
        if (s->slots[i].number < 0) continue;
        size_t at = s->slots[i].hash & (size - 1);
        while (slots[at].number >= 0) at = (at + 1) & (size - 1);
        slots[at] = s->slots[i];
    }
    free(s->slots);
    s->slots = slots;
    s->mask = size - 1;
    return 1;
}

/* After it, `data` is not NULL, even for `more` 0: memcmp and memcpy require that for no bytes too. */
static int make_room(strings_t *s, size_t more) {
    if (s->data && s->room - s->used >= more) return 1;
    size_t room = 2 * s->room + more + (1 << 12);
    uint8_t *data = realloc(s->data, room);
    if (!data) return 0;
    s->data = data;
    s->room = room;
    return 1;
}

/* Lower-cases four bytes of ASCII. */
static inline uint32_t lowered(uint32_t four) {
    uint32_t from_a = four + 0x3f3f3f3f, after_z = four + 0x25252525; /* the high bit of each byte */
    return four | (from_a & ~after_z & 0x80808080) >> 2;
}

/* Copies a string, lower-cased if `lower`, and returns the hash of the copy. */
static inline uint32_t copy_and_hash(uint8_t *to, bytes_t at, size_t size, int lower) {
    uint64_t hash = hash_begin(size), point = hash_point; /* which `to` can't alias */
    for (; size >= 4; to += 4, at += 4, size -= 4) {
        uint32_t four = four_bytes(at);
        if (lower) four = lowered(four);
        memcpy(to, &four, 4);
        hash = hash_step(hash, point, four);
    }
    if (size) {
        uint32_t last = last_bytes(at, size);
        if (lower) last = lowered(last);
        to[0] = (uint8_t)last;
        to[size / 2] = (uint8_t)(last >> 8);
        to[size - 1] = (uint8_t)(last >> 16);
        hash = hash_step(hash, point, last);
    }
    return (uint32_t)hash_end(hash);
}

/* Returns the number of a string, lower-cased if `lower`, or NO_MEMORY. Adds a new string. */
static int32_t number_of(strings_t *s, bytes_t at, size_t size, int lower) {
    if ((!s->slots || 2 * s->count > s->mask) && !grow(s)) return NO_MEMORY;
    if (s->count > INT32_MAX / 2 || !make_room(s, size)) return NO_MEMORY;
    uint8_t *copy = s->data + s->used;
    uint32_t hash = copy_and_hash(copy, at, size, lower);
    for (size_t i = hash & s->mask;; i = (i + 1) & s->mask) {
        struct slot *slot = s->slots + i;
        if (slot->number < 0) {
            slot->hash = hash;
            s->used += size;
            s->ends[s->count] = s->used;
            return slot->number = (int32_t)s->count++;
        }
        if (slot->hash != hash) continue;
        size_t start = slot->number ? s->ends[slot->number - 1] : 0;
        if (s->ends[slot->number] - start == size && !memcmp(s->data + start, copy, size)) return slot->number;
    }
}

/* ---------------------------------------------------------------- tokens of ASCII text */

enum { LETTER = 1, DIGIT = 2, UNDERSCORE = 4, SPACE = 8, WORD = LETTER | DIGIT | UNDERSCORE };

static const uint8_t KIND[256] = {
    ['\t'] = SPACE, ['\n'] = SPACE, ['\v'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
    ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER,
    ['H'] = LETTER, ['I'] = LETTER, ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER, ['U'] = LETTER,
    ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER, ['Z'] = LETTER, ['_'] = UNDERSCORE,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER, ['g'] = LETTER,
    ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER,
    ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER,
    ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER, ['z'] = LETTER,
};

/* Whether the byte at a position is of a kind; there is none after the end. */
static inline int is(bytes_t at, bytes_t end, int kind) { return at < end && KIND[*at] & kind; }

static inline int is_char(bytes_t at, bytes_t end, char c) { return at < end && *at == (uint8_t)c; }

static inline int is_letter(bytes_t at, bytes_t end, char c) { return at < end && (*at | 0x20) == (uint8_t)c; }

/* (?i:n't)\b */
static int is_not(bytes_t at, bytes_t end) {
    return is_letter(at, end, 'n') && is_char(at + 1, end, '\'') && is_letter(at + 2, end, 't') && !is(at + 3, end, WORD);
}

static inline bytes_t run_of(bytes_t at, bytes_t end, int kind) {
    while (is(at, end, kind)) at++;
    return at;
}

/* Returns the end of the token that begins at `at`, or `at` itself if none does: the alternatives
 * of the pattern `TREEBANK`, in their order. `start` is where the text begins. */
static bytes_t treebank_token(bytes_t start, bytes_t at, bytes_t end) {
    uint8_t c = *at;
    if (KIND[c] & SPACE) return at;
    if (!(KIND[c] & WORD)) {
        bytes_t next = at + 1;
        if (c == '\'') {
            static const char *const endings[] = {"s", "re", "ve", "ll", "d", "m"};
            for (int i = 0; i < 6; i++) {
                const char *one = endings[i];
                bytes_t after = next + strlen(one);
                if (is_letter(next, end, one[0]) && (!one[1] || is_letter(next + 1, end, one[1])) && !is(after, end, WORD))
                    return after;
            }
        }
        if (c == '.' || c == '-')
            while (is_char(next, end, (char)c)) next++;
        return next;
    }
    if (is_not(at, end)) return at + 3;
    if (KIND[c] & DIGIT) {
        bytes_t digits = run_of(at, end, DIGIT), stop = digits;
        while ((is_char(stop, end, '.') || is_char(stop, end, ',') || is_char(stop, end, ':')) && is(stop + 1, end, DIGIT))
            stop = run_of(stop + 1, end, DIGIT);
        if (stop > digits) return stop;
    }
    if (KIND[c] & LETTER && (at == start || !(KIND[at[-1]] & WORD))) {
        bytes_t stop = at;
        while (is(stop, end, LETTER) && is_char(stop + 1, end, '.')) stop += 2;
        if (stop - at > 2) return stop;
    }
    bytes_t stop = run_of(at, end, WORD);
    if (stop - 1 > at && is_not(stop - 1, end)) return stop - 1;
    while (is_char(stop, end, '-') && is(stop + 1, end, WORD)) stop = run_of(stop + 1, end, WORD);
    return stop;
}

static bytes_t token_between_spaces(bytes_t at, bytes_t end) {
    while (at < end && !(KIND[*at] & SPACE)) at++;
    return at;
}

/* ---------------------------------------------------------------- texts */

typedef struct {
    bytes_t at;
    size_t size;
} span_t;

typedef struct {
    strings_t tokens, pieces;
    span_t *specials;
    Py_ssize_t special_count;
    PyObject *special_tokens; /* owns the bytes of `specials` */
    int treebank, lower, busy;
    uint8_t is_break[256];
    int32_t *found; /* numbers of tokens; -1 - number of a piece that is left to Python */
    size_t used, room;
} state_t;

typedef struct {
    PyObject_HEAD
    state_t state;
} TextTokenizer;

static int add(state_t *s, int32_t number) {
    if (s->used == s->room) {
        size_t room = 2 * s->room + (1 << 12);
        int32_t *found = realloc(s->found, room * sizeof *found);
        if (!found) return 0;
        s->found = found;
        s->room = room;
    }
    s->found[s->used++] = number;
    return 1;
}

/* Adds the tokens of ASCII text. Returns 0 if there is no memory. */
static int tokenize_ascii(state_t *s, bytes_t start, bytes_t end) {
    bytes_t at = start;
    while (at < end) {
        bytes_t stop = s->treebank ? treebank_token(start, at, end) : token_between_spaces(at, end);
        if (stop == at) {
            at++;
            continue;
        }
        int32_t number = number_of(&s->tokens, at, (size_t)(stop - at), s->lower);
        if (number == NO_MEMORY || !add(s, number)) return 0;
        at = stop;
    }
    return 1;
}

static int is_ascii(bytes_t at, bytes_t end) {
    uint64_t all = 0, eight;
    for (; end - at >= 8; at += 8) {
        memcpy(&eight, at, 8);
        all |= eight;
    }
    for (; at < end; at++) all |= *at;
    return !(all & 0x8080808080808080u);
}

static int has_special(const state_t *s, bytes_t at, bytes_t end) {
    for (Py_ssize_t i = 0; i < s->special_count; i++) {
        span_t one = s->specials[i];
        bytes_t from = at;
        while ((size_t)(end - from) >= one.size && (from = memchr(from, one.at[0], (size_t)(end - from) - one.size + 1))) {
            if (!memcmp(from, one.at, one.size)) return 1;
            from++;
        }
    }
    return 0;
}

static int is_plain(const state_t *s, bytes_t at, bytes_t end) { return is_ascii(at, end) && !has_special(s, at, end); }

static int tokenize_text(state_t *s, bytes_t at, bytes_t end) {
    if (is_plain(s, at, end)) return tokenize_ascii(s, at, end);
    while (at < end) {
        bytes_t stop = memchr(at, ' ', (size_t)(end - at));
        if (!stop) stop = end;
        if (is_plain(s, at, stop)) {
            if (!tokenize_ascii(s, at, stop)) return 0;
        } else {
            int32_t piece = number_of(&s->pieces, at, (size_t)(stop - at), 0);
            if (piece == NO_MEMORY || !add(s, -1 - piece)) return 0;
        }
        at = stop + 1;
    }
    return 1;
}

/* Numbers the chunks of a text: one begins at each break that follows another byte, except at the breaks at
 * the end, which belong to the last chunk. */
static int number_chunks(state_t *s, bytes_t at, bytes_t end) {
    bytes_t last = end;
    while (last > at && s->is_break[last[-1]]) last--;
    while (at < end) {
        bytes_t stop = at;
        while (stop < last && s->is_break[*stop]) stop++;
        while (stop < last && !s->is_break[*stop]) stop++;
        if (stop == last) stop = end;
        int32_t chunk = number_of(&s->pieces, at, (size_t)(stop - at), 0);
        if (chunk == NO_MEMORY || !add(s, chunk)) return 0;
        at = stop;
    }
    return 1;
}

/* ---------------------------------------------------------------- the type */

/* Every method claims the tokenizer until it returns: others may run whenever the interpreter lock is
 * released, or when a garbage collection runs Python code. Returns 0 and sets an error if it is taken. */
static int claim(state_t *s) {
    if (s->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the tokenizer is in use by another thread");
        return 0;
    }
    return s->busy = 1;
}

/* Returns the bytes of an ASCII str or of bytes, which the item owns. */
static int span_of(PyObject *item, span_t *out) {
    Py_ssize_t size;
    const char *at;
    if (PyBytes_Check(item)) {
        char *data;
        if (PyBytes_AsStringAndSize(item, &data, &size) < 0) return 0;
        at = data;
    } else if (!(at = PyUnicode_AsUTF8AndSize(item, &size))) {
        return 0;
    }
    *out = (span_t){(bytes_t)at, (size_t)size};
    return 1;
}

/* Returns the bytes of all items of a list, which stay valid as long as the list. */
static span_t *spans_of(PyObject *list, Py_ssize_t *count) {
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list of strings is expected");
        return NULL;
    }
    *count = PyList_Size(list);
    span_t *spans = malloc((size_t)(*count + 1) * sizeof *spans);
    if (!spans) PyErr_NoMemory();
    for (Py_ssize_t i = 0; spans && i < *count; i++) {
        if (!span_of(PyList_GetItem(list, i), spans + i)) {
            free(spans);
            return NULL;
        }
    }
    return spans;
}

static PyObject *strings_from(const strings_t *s, size_t first, int text) {
    PyObject *list = PyList_New((Py_ssize_t)(s->count - first));
    for (size_t i = first; list && i < s->count; i++) {
        size_t start = i ? s->ends[i - 1] : 0;
        const char *at = (const char *)s->data + start;
        Py_ssize_t size = (Py_ssize_t)(s->ends[i] - start);
        PyObject *one = text ? PyUnicode_DecodeUTF8(at, size, NULL) : PyBytes_FromStringAndSize(at, size);
        if (!one || PyList_SetItem(list, (Py_ssize_t)(i - first), one) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *new_tokenizer(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)kwargs;
    int treebank, lower;
    PyObject *specials;
    if (!PyArg_ParseTuple(args, "ppO!", &treebank, &lower, &PyList_Type, &specials)) return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    TextTokenizer *self = (TextTokenizer *)alloc(type, 0);
    if (!self) return NULL;
    state_t *s = &self->state;
    memset(s, 0, sizeof *s);
    s->treebank = treebank;
    s->lower = lower;
    s->special_tokens = PyList_GetSlice(specials, 0, PyList_Size(specials)); /* a copy that nobody changes */
    if (!s->special_tokens || !(s->specials = spans_of(s->special_tokens, &s->special_count))) {
        Py_DECREF(self);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < s->special_count; i++) {
        if (s->specials[i].size) continue;
        PyErr_SetString(PyExc_ValueError, "a special token is empty");
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void free_tokenizer(PyObject *object) {
    state_t *s = &((TextTokenizer *)object)->state;
    free_strings(&s->tokens);
    free_strings(&s->pieces);
    free(s->specials);
    free(s->found);
    Py_XDECREF(s->special_tokens);
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

/* Calls `add_text` on every text. Returns what it added and the new pieces: two int32 arrays as bytes, the
 * numbers and how many of them each text has, and a list. `breaks` is NULL or bytes. */
static PyObject *of_texts(PyObject *object, PyObject *list, PyObject *breaks, int (*add_text)(state_t *, bytes_t, bytes_t)) {
    state_t *s = &((TextTokenizer *)object)->state;
    PyObject *result = NULL, *texts = PySequence_List(list); /* a list that nobody changes meanwhile */
    if (!texts) return NULL;
    Py_ssize_t count, done = 0;
    span_t *spans = spans_of(texts, &count);
    PyObject *lengths = spans ? PyBytes_FromStringAndSize(NULL, 4 * count) : NULL;
    if (!lengths || !claim(s)) goto end;
    int32_t *length = (int32_t *)PyBytes_AsString(lengths);
    size_t first = s->pieces.count;
    s->used = 0;
    memset(s->is_break, 0, sizeof s->is_break);
    for (Py_ssize_t i = 0; breaks && i < PyBytes_Size(breaks); i++) s->is_break[(uint8_t)PyBytes_AsString(breaks)[i]] = 1;
    Py_BEGIN_ALLOW_THREADS;
    for (; done < count; done++) {
        size_t before = s->used;
        if (!add_text(s, spans[done].at, spans[done].at + spans[done].size)) break;
        length[done] = (int32_t)(s->used - before);
    }
    Py_END_ALLOW_THREADS;
    PyObject *pieces = done < count ? PyErr_NoMemory() : strings_from(&s->pieces, first, 0);
    const char *found = s->found ? (const char *)s->found : "";
    if (pieces) result = Py_BuildValue("(y#OO)", found, (Py_ssize_t)(4 * s->used), lengths, pieces);
    Py_XDECREF(pieces);
    s->busy = 0;
end:
    Py_XDECREF(lengths);
    free(spans);
    Py_DECREF(texts);
    return result;
}

/* tokenize(texts: list[str | bytes]) -> (numbers, lengths, pieces). A str must be ASCII, bytes UTF-8. */
static PyObject *tokenizer_tokenize(PyObject *object, PyObject *texts) {
    return of_texts(object, texts, NULL, tokenize_text);
}

/* chunks(texts: list[str | bytes], breaks: bytes) -> (numbers, lengths, pieces): those of chunks. */
static PyObject *tokenizer_chunks(PyObject *object, PyObject *args) {
    PyObject *texts, *breaks;
    if (!PyArg_ParseTuple(args, "OO!", &texts, &PyBytes_Type, &breaks)) return NULL;
    return of_texts(object, texts, breaks, number_chunks);
}

/* numbers(tokens: list[bytes]) -> bytes: the number of each token, as int32. */
static PyObject *tokenizer_numbers(PyObject *object, PyObject *list) {
    state_t *s = &((TextTokenizer *)object)->state;
    Py_ssize_t count;
    if (!claim(s)) return NULL;
    span_t *spans = spans_of(list, &count);
    PyObject *result = spans ? PyBytes_FromStringAndSize(NULL, 4 * count) : NULL;
    int32_t *out = result ? (int32_t *)PyBytes_AsString(result) : NULL;
    for (Py_ssize_t i = 0; result && i < count; i++) {
        out[i] = number_of(&s->tokens, spans[i].at, spans[i].size, 0);
        if (out[i] == NO_MEMORY) {
            PyErr_NoMemory();
            Py_CLEAR(result);
        }
    }
    free(spans);
    s->busy = 0;
    return result;
}

static PyObject *tokenizer_tokens(PyObject *object, PyObject *unused) {
    (void)unused;
    state_t *s = &((TextTokenizer *)object)->state;
    if (!claim(s)) return NULL;
    PyObject *tokens = strings_from(&s->tokens, 0, 1);
    s->busy = 0;
    return tokens;
}

static PyObject *tokenizer_forget(PyObject *object, PyObject *unused) {
    (void)unused;
    state_t *s = &((TextTokenizer *)object)->state;
    if (!claim(s)) return NULL;
    free_strings(&s->pieces);
    s->busy = 0;
    return Py_NewRef(Py_None);
}

static PyMethodDef tokenizer_methods[] = {
    {"tokenize", tokenizer_tokenize, METH_O, "tokenize(texts) -> (numbers, lengths, pieces)"},
    {"chunks", tokenizer_chunks, METH_VARARGS, "chunks(texts, breaks) -> (numbers, lengths, chunks)"},
    {"numbers", tokenizer_numbers, METH_O, "numbers(tokens) -> bytes"},
    {"tokens", tokenizer_tokens, METH_NOARGS, "tokens() -> list[str], in the order of their numbers"},
    {"forget", tokenizer_forget, METH_NOARGS, "forget() -> None, all pieces"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, (void *)new_tokenizer},
    {Py_tp_dealloc, (void *)free_tokenizer},
    {Py_tp_methods, tokenizer_methods},
    {Py_tp_doc, "TextTokenizer(treebank, lowercase, specials): tokenizes texts and numbers the tokens."},
    {0, NULL},
};

static PyType_Spec spec = {"finetune_embed.vocabulary._tokenization.TextTokenizer", sizeof(TextTokenizer), 0, Py_TPFLAGS_DEFAULT, slots};

static int prepare(PyObject *module) {
    if (draw_hash_key() < 0) return -1;
    PyObject *type = PyType_FromSpec(&spec);
    int failed = !type || PyModule_AddObjectRef(module, "TextTokenizer", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)prepare}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_tokenization", "Tokenizes texts and numbers their tokens.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__tokenization(void) { return PyModuleDef_Init(&module); }
