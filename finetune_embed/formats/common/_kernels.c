/* The inner loops of reading and writing vector files: bytes to rows, rows to bytes.
 *
 * Everything here has a slower counterpart in Python that gives the same numbers; `kernels.py`
 * chooses. Functions take buffers, release the interpreter lock while they work, and never read or
 * write outside of the given lengths. They leave to Python what is not plain: numbers that are not
 * simply digits, and damaged lines.
 */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../../_hash.h"

typedef const uint8_t *bytes_t;

#define MAX_SIZE (PY_SSIZE_T_MAX / 32) /* numbers in a vector: a row's bytes can be counted */

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27,
                                1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41,
                                1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55};

/* ---------------------------------------------------------------- words to read */

/* A set of 64-bit hashes, open addressing, a power of two of slots, 0 for an empty one. */
typedef struct {
    const uint8_t *slots; /* NULL if every word is wanted */
    uint64_t count;
    Py_buffer buffer;
} set_t;

static uint64_t hash_word(bytes_t at, bytes_t end) {
    uint64_t hash = hash_bytes(at, (size_t)(end - at));
    return hash ? hash : 1;
}

/* Returns the slot that holds a hash, or the empty one where it belongs; `count` if there is neither. */
static uint64_t slot_of(const uint8_t *slots, uint64_t count, uint64_t hash) {
    uint64_t at = hash & (count - 1), slot;
    for (uint64_t tried = 0; tried < count; tried++, at = (at + 1) & (count - 1)) {
        memcpy(&slot, slots + 8 * at, 8); /* the buffer may begin anywhere */
        if (slot == hash || !slot) return at;
    }
    return count;
}

static int holds(const set_t *set, uint64_t hash) {
    uint64_t at = slot_of(set->slots, set->count, hash), slot = 0;
    if (at < set->count) memcpy(&slot, set->slots + 8 * at, 8);
    return slot == hash;
}

/* Opens a set from `word_set`, or None. Returns 0 and sets an error if it is neither. */
static int open_set(PyObject *object, set_t *set) {
    memset(set, 0, sizeof *set);
    if (object == Py_None) return 1;
    if (PyObject_GetBuffer(object, &set->buffer, PyBUF_SIMPLE) < 0) return 0;
    set->slots = set->buffer.buf;
    set->count = (uint64_t)set->buffer.len / 8;
    if (set->count && !(set->count & (set->count - 1)) && !(set->buffer.len % 8)) return 1;
    PyErr_SetString(PyExc_ValueError, "the words are not a set that word_set returned");
    return 0;
}

static void close_set(set_t *set) {
    if (set->buffer.obj) PyBuffer_Release(&set->buffer);
}

/* word_set(words: list[bytes]) -> bytes: the hashes of the words' first fields, up to a space. */
static PyObject *word_set(PyObject *self, PyObject *list) {
    (void)self;
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list of bytes is expected");
        return NULL;
    }
    Py_ssize_t n = PyList_Size(list);
    uint64_t count = 16;
    while (count < 2 * (uint64_t)n) count *= 2;
    PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * 8));
    if (!result) return NULL;
    uint8_t *slots = (uint8_t *)PyBytes_AsString(result);
    memset(slots, 0, count * 8);
    for (Py_ssize_t i = 0; i < n; i++) {
        char *word;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyList_GetItem(list, i), &word, &size) < 0) {
            Py_DECREF(result);
            return NULL;
        }
        const char *space = memchr(word, ' ', (size_t)size);
        uint64_t hash = hash_word((bytes_t)word, (bytes_t)(space ? space : word + size));
        memcpy(slots + 8 * slot_of(slots, count, hash), &hash, 8);
    }
    return result;
}

/* ---------------------------------------------------------------- text to numbers */

#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define EIGHT_AT_ONCE
/* Reads a number such as -0.12345, with one digit before the point and one to eight after it, as
 * nearly all numbers in vector files are. It has no loop and no branch on the number of digits.
 * See Lemire, "Number parsing at a gigabyte per second", 2021. Returns NULL for any other number. */
static inline bytes_t read_short_number(bytes_t at, bytes_t end, float *out) {
    if (end - at < 11) return NULL;
    uint64_t negative = *at == '-';
    at += negative;
    uint64_t whole = (uint64_t)*at - '0', text;
    memcpy(&text, at + 2, 8);
    text ^= 0x3030303030303030u;
    uint64_t others = (text | (text + 0x7676767676767676u)) & 0x8080808080808080u;
    uint64_t bits_kept = others ? (uint64_t)__builtin_ctzll(others) - 7 : 64, count = bits_kept / 8;
    bytes_t stop = at + 2 + count;
    if (whole > 9 || at[1] != '.' || !count || (stop < end && *stop != ' ')) return NULL;
    text <<= 64 - bits_kept;
    text = text * 10 + (text >> 8);
    text = ((text & 0x000000FF000000FFu) * 0x000F424000000064u +
            ((text >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    double value = ((double)whole * tens[count] + (double)text) / tens[count];
    uint64_t bits;
    memcpy(&bits, &value, 8);
    if ((bits & 0x1FFFFFFF) == 0x10000000) return NULL; /* halfway between two floats */
    bits |= negative << 63;
    memcpy(&value, &bits, 8);
    *out = (float)value;
    return stop;
}
#endif

/* Reads one number up to `end` or a space; returns where it ends, or NULL if it is not plain.
 *
 * The result is the float nearest to the decimal: digits / 10^k in double precision is off by at
 * most 8 units in the last place, so only a double that close to the midpoint of two floats is
 * uncertain, and left to the caller. */
static bytes_t read_number(bytes_t at, bytes_t end, float *out) {
    if (at == end) return NULL;
    int negative = *at == '-'; /* half of all numbers are: a branch would be mispredicted */
    at += negative | (*at == '+');
    uint64_t digits = 0;
    int64_t scale = 0;
    bytes_t start = at;
    for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
        if (digits > 1000000000000000000u) return NULL;
        digits = digits * 10 + (uint8_t)(*at - '0');
    }
    bytes_t whole = at;
    if (at < end && *at == '.') {
        at++;
        bytes_t fraction = at;
        for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
            if (digits > 1000000000000000000u) return NULL;
            digits = digits * 10 + (uint8_t)(*at - '0');
        }
        scale = at - fraction;
        if (whole == start && !scale) return NULL;
    } else if (whole == start) {
        return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        int minus = 0, exponent = 0;
        if (at < end && (*at == '-' || *at == '+')) minus = *at++ == '-';
        bytes_t first = at;
        for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
            if (exponent > 999) return NULL;
            exponent = exponent * 10 + (*at - '0');
        }
        if (at == first) return NULL;
        scale += minus ? exponent : -exponent;
    }
    if (at < end && *at != ' ') return NULL;
    double value = 0;
    if (digits) {
        if (scale > 55 || scale < -55) return NULL;
        value = scale >= 0 ? (double)digits / POWERS[scale] : (double)digits * POWERS[-scale];
        if (value < 1.2e-38 || value > 3.4e38) return NULL;
        uint64_t bits;
        memcpy(&bits, &value, 8);
        int64_t from_middle = (int64_t)(bits & 0x1FFFFFFF) - 0x10000000;
        int64_t doubt = digits >> 53 || scale > 22 || scale < -22 ? 8 : 0;
        if (-doubt <= from_middle && from_middle <= doubt) return NULL;
    }
    *out = (float)(negative ? -value : value);
    return at;
}

/* Reads `size` numbers separated by single spaces, which must fill the bytes from `at` to `end`. */
static int read_numbers(bytes_t at, bytes_t end, Py_ssize_t size, float *out) {
    for (Py_ssize_t i = 0; i < size; i++) {
        bytes_t stop = NULL;
#ifdef EIGHT_AT_ONCE
        stop = read_short_number(at, end, out + i);
#endif
        at = stop ? stop : read_number(at, end, out + i);
        if (!at) return 0;
        if (i + 1 < size) {
            if (at == end) return 0;
            at++;
        }
    }
    return at == end;
}

typedef struct {
    int64_t row, start, stop; /* a row left to Python: its number, and where its numbers are */
} leftover_t;

/* parse_text(data, vector_size, most, word_set | None)
 *     -> (words, vectors, rows, leftovers, lines, bad)
 *
 * Reads at most `most` lines of `data`, which ends with a newline. `words` are the words of the rows,
 * joined by newlines; `vectors` is a bytearray of float32; `leftovers` are int64 triples of row, start
 * and stop. `lines` counts the lines read, without blank ones at the end; `bad` is the first line
 * without enough fields, or -1. With a word set, rows whose word can't be in it are skipped. */
static PyObject *parse_text(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data;
    set_t set = {0};
    Py_ssize_t size, most;
    PyObject *wanted, *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nnO", &data, &size, &most, &wanted)) return NULL;
    if (size < 1 || size > data.len + 1 || most < 0) {
        PyErr_SetString(PyExc_ValueError, "vector_size or the number of rows is out of range");
        goto done;
    }
    if (!open_set(wanted, &set)) goto done;
    Py_ssize_t room = (data.len + 1) / (size + 1); /* a row takes at least its spaces and a newline */
    if (room > most) room = most;
    PyObject *vectors = PyByteArray_FromStringAndSize(NULL, room * size * 4);
    PyObject *words = PyByteArray_FromStringAndSize(NULL, data.len + 1);
    PyObject *rest = PyByteArray_FromStringAndSize(NULL, room * (Py_ssize_t)sizeof(leftover_t));
    Py_ssize_t rows = 0, lines = 0, bad = -1, used = 0, left = 0;
    if (vectors && words && rest) {
        float *out = (float *)PyByteArray_AsString(vectors);
        char *word_out = PyByteArray_AsString(words);
        leftover_t *leftovers = (leftover_t *)PyByteArray_AsString(rest);
        Py_BEGIN_ALLOW_THREADS;
        bytes_t begin = data.buf, end = begin + data.len, line = begin;
        Py_ssize_t number = 0;
        while (line < end && lines < most) {
            bytes_t newline = memchr(line, '\n', (size_t)(end - line));
            if (!newline) newline = end;
            bytes_t next = newline + 1, stop = newline;
            while (stop > line && (stop[-1] == ' ' || stop[-1] == '\r')) stop--;
            number++;
            if (stop == line) { /* blank: ignored at the end of the file, else damage */
                line = next;
                continue;
            }
            if (number > lines + 1) { /* after a blank line */
                bad = lines;
                break;
            }
            bytes_t space = memchr(line, ' ', (size_t)(stop - line));
            if (set.slots && !holds(&set, hash_word(line, space ? space : stop))) {
                lines++;
                line = next;
                continue;
            }
            bytes_t key_end = space;
            int plain = 0;
            if (space && rows < room) plain = read_numbers(space + 1, stop, size, out + rows * size);
            if (!plain) { /* count the fields from the right */
                Py_ssize_t missing = size;
                key_end = stop;
                while (missing && key_end > line) missing -= *--key_end == ' ';
                if (missing || rows == room) {
                    bad = lines;
                    break;
                }
                plain = key_end != space && read_numbers(key_end + 1, stop, size, out + rows * size);
            }
            if (!plain) {
                leftovers[left].row = rows;
                leftovers[left].start = key_end + 1 - begin;
                leftovers[left++].stop = stop - begin;
            }
            memcpy(word_out + used, line, (size_t)(key_end - line));
            used += key_end - line;
            word_out[used++] = '\n';
            rows++;
            lines++;
            line = next;
        }
        Py_END_ALLOW_THREADS;
        if (!PyByteArray_Resize(vectors, rows * size * 4) && !PyByteArray_Resize(words, used ? used - 1 : 0) &&
            !PyByteArray_Resize(rest, left * (Py_ssize_t)sizeof(leftover_t)))
            result = Py_BuildValue("OOnOnn", words, vectors, rows, rest, lines, bad);
    }
    Py_XDECREF(vectors);
    Py_XDECREF(words);
    Py_XDECREF(rest);
done:
    close_set(&set);
    PyBuffer_Release(&data);
    return result;
}

/* ---------------------------------------------------------------- binary rows */

#define LONGEST_NAME 256 /* bytes of a word with spaces, which the format can't hold */
#define FEW 3            /* plausible rows, after which an implausible one is a sign of damage */
enum { SOUND, SPACED, NO_WORD, TOO_LARGE };

/* Returns the bytes of the character at `at`, neither white space nor an ASCII control, as UTF-8; else 0. */
static int character(bytes_t at, bytes_t end) {
    if (at == end) return 0;
    int more = *at < 0x80 ? 0 : *at < 0xC2 ? -1 : *at < 0xE0 ? 1 : *at < 0xF0 ? 2 : *at < 0xF5 ? 3 : -1;
    if (more < 0 || *at <= ' ' || *at == 0x7F || end - at <= more) return 0;
    for (int i = 1; i <= more; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return more + 1;
}

/* Whether a word starts with no character, or holds control characters. */
static int is_odd(bytes_t at, bytes_t end) {
    if (at == end) return 0;
    if (!character(at, end)) return 1;
    for (; at < end; at++)
        if (*at < ' ' || *at == 0x7F) return 1;
    return 0;
}

/* Whether a value of a row is not finite, or of a size that vectors do not have. */
static int is_wild(bytes_t row, Py_ssize_t size) {
    for (Py_ssize_t i = 0; i < size; i++) {
        float value;
        memcpy(&value, row + 4 * i, 4);
        value = fabsf(value);
        if (value != 0 && !(value > 1e-12f && value < 1e6f)) return 1;
    }
    return 0;
}

/* Whether a value of a row is finite and of a size that vectors do not have: a sign of misplaced bytes. */
static int is_noise(bytes_t row, Py_ssize_t size) {
    for (Py_ssize_t i = 0; i < size; i++) {
        float value;
        memcpy(&value, row + 4 * i, 4);
        value = fabsf(value);
        if (value != 0 && value <= FLT_MAX && !(value > 1e-12f && value < 1e6f)) return 1;
    }
    return 0;
}

/* Whether a value of a row is finite and larger than those of any vectors: misplaced bytes. */
static int is_huge(bytes_t row, Py_ssize_t size) {
    int found = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        float value;
        memcpy(&value, row + 4 * i, 4);
        value = fabsf(value);
        found |= (value > 1e10f) & (value <= FLT_MAX);
    }
    return found;
}

/* Whether the values of a row are of a size that vectors have, and not all 0. */
static int is_plausible(bytes_t row, Py_ssize_t size) {
    if (is_wild(row, size)) return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        float value;
        memcpy(&value, row + 4 * i, 4);
        if (value != 0) return 1;
    }
    return 0;
}

/* Returns the bytes that belong to the word before `row` if it has spaces: 0 if it has none, -1 if
 * more bytes are needed to see that.
 *
 * It has if text and a space are at the start of the row, the values after them are plausible and a
 * word follows them, but the values of the row, or the word after it, are not. */
static Py_ssize_t rest_of_word(bytes_t row, bytes_t end, Py_ssize_t size, int is_last) {
    Py_ssize_t width = 4 * size;
    if (end - row < LONGEST_NAME && !is_last) return -1;
    bytes_t stop = end - row < LONGEST_NAME ? end : row + LONGEST_NAME;
    for (bytes_t at = row; at < stop;) {
        if (*at != ' ') {
            int bytes = character(at, end);
            if (!bytes) return 0;
            at += bytes;
            continue;
        }
        bytes_t values = ++at;
        if (end - values < width) {
            if (!is_last) return -1;
            continue;
        }
        if (is_wild(values, size)) continue;
        bytes_t next = values + width;
        while (next < end && *next == '\n') next++;
        if (next < end || !is_last) {
            int bytes = 0;
            bytes_t from = next;
            while (next - from < LONGEST_NAME && (bytes = character(next, end))) next += bytes;
            if (end - next < 4 && !is_last) return -1;
            if (next == from || next == end || *next != ' ') continue;
        }
        bytes_t word = row + width;
        while (word < end && *word == '\n') word++;
        bytes_t space = word < end ? memchr(word, ' ', (size_t)(end - word)) : NULL;
        if (is_noise(row, size) || (size > 1 && is_odd(word, space ? space : end))) return values - row;
    }
    return 0;
}

/* parse_binary(data, vector_size, most, word_set | None, is_last, before)
 *     -> (words, vectors, rows, passed, used, fault, length, after)
 *
 * Reads complete rows: a word, a space, float32s. Newlines before a word are skipped. `words` are
 * joined by spaces, which no word contains; `passed` counts the rows in `data`, including those
 * whose word can't be in the set, and `used` the bytes that they take. It stops at the first word that
 * can't be one: SPACED, of `length` bytes with its spaces; NO_WORD, one with a newline inside, or an odd
 * word where the one before is not odd, beside implausible values where a few rows were plausible; or
 * TOO_LARGE, beside values that no vectors have where a few rows were plausible. `before` and `after`
 * are 1 if the last row is implausible, plus 2 if its word is odd, plus 4 for each of the first
 * plausible rows. */
static PyObject *parse_binary(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data;
    set_t set = {0};
    Py_ssize_t size, most;
    int is_last = 1, state = 0;
    PyObject *wanted, *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nnO|pi", &data, &size, &most, &wanted, &is_last, &state)) return NULL;
    if (size < 1 || size > MAX_SIZE || most < 0) {
        PyErr_SetString(PyExc_ValueError, "vector_size or the number of rows is out of range");
        goto done;
    }
    if (!open_set(wanted, &set)) goto done;
    Py_ssize_t width = 4 * size, room = data.len / (width + 1);
    if (room > most) room = most;
    PyObject *vectors = PyByteArray_FromStringAndSize(NULL, room * width);
    PyObject *words = PyByteArray_FromStringAndSize(NULL, data.len + 1);
    Py_ssize_t rows = 0, passed = 0, used = 0, taken = 0, length = 0;
    int fault = SOUND;
    if (vectors && words) {
        char *out = PyByteArray_AsString(vectors), *word_out = PyByteArray_AsString(words);
        Py_BEGIN_ALLOW_THREADS;
        bytes_t begin = data.buf, end = begin + data.len, at = begin, last = NULL;
        int was_odd = state >> 1 & 1, plausible = state < 0 ? 0 : state >> 2;
        while (passed < most) {
            bytes_t space = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL;
            if (!space || end - space - 1 < width) break;
            while (at < space && *at == '\n') at++;
            Py_ssize_t rest = rest_of_word(space + 1, end, size, is_last);
            if (rest < 0) break;
            int odd = is_odd(at, space);
            if (rest) {
                fault = SPACED;
                length = space + rest - at;
            } else if (odd && memchr(at, '\n', (size_t)(space - at))) {
                fault = NO_WORD;
            } else if (plausible >= FEW) {
                int beside = is_noise(space + 1, size) || (last ? is_noise(last, size) : state & 1);
                fault = odd && !was_odd && beside ? NO_WORD : is_huge(space + 1, size) ? TOO_LARGE : SOUND;
            }
            if (fault) {
                if (!length) length = space - at;
                taken = at - begin;
                break;
            }
            if (!set.slots || holds(&set, hash_word(at, space))) {
                memcpy(out + rows * width, space + 1, (size_t)width);
                memcpy(word_out + used, at, (size_t)(space - at));
                used += space - at;
                word_out[used++] = ' ';
                rows++;
            }
            if (plausible < FEW) plausible += !odd && is_plausible(space + 1, size);
            was_odd = odd;
            last = space + 1;
            at = space + 1 + width;
            taken = at - begin;
            passed++;
        }
        if (last) state = is_noise(last, size) | was_odd << 1 | plausible << 2;
        Py_END_ALLOW_THREADS;
        if (!PyByteArray_Resize(vectors, rows * width) && !PyByteArray_Resize(words, used ? used - 1 : 0))
            result = Py_BuildValue("OOnnnini", words, vectors, rows, passed, taken, fault, length, state);
    }
    Py_XDECREF(vectors);
    Py_XDECREF(words);
done:
    close_set(&set);
    PyBuffer_Release(&data);
    return result;
}

/* ---------------------------------------------------------------- numbers to text */

/* Writes the shortest decimal that reads back as the same float; at most 16 bytes.
 *
 * Of the decimals that round to the float, scaled to nine digits, it takes the multiple of the
 * largest power of ten, and of those the one nearest to the float. The interval is narrowed by more
 * than the rounding error of the scaling, so a few numbers beyond 2^24 are a digit longer than
 * necessary. */
static char *write_number(float value, char *out) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t negative = bits >> 31;
    bits &= 0x7FFFFFFF;
    if (negative && bits <= 0x7F800000) *out++ = '-'; /* NaN has no sign */
    if (!bits || bits >= 0x7F800000) {
        memcpy(out, !bits ? "0.0" : bits == 0x7F800000 ? "inf" : "NaN", 3);
        return out + 3;
    }
    memcpy(&value, &bits, 4);
    int binary = (int)(bits >> 23) ? (int)(bits >> 23) : 1;
    uint64_t half_bits = (uint64_t)(binary - 151 + 1023) << 52;
    double exact = value, half;
    memcpy(&half, &half_bits, 8);
    double low = exact - (bits & 0x7FFFFF || binary == 1 ? half : half / 2), high = exact + half;
    int power = ((binary - 127) * 1233) >> 12, shift = 8 - power; /* 10^power <= 2^(binary - 127) */
    double factor = POWERS[shift < 0 ? -shift : shift];
    double middle = shift < 0 ? exact / factor : exact * factor;
    while (middle >= 1e9 || middle < 1e8) { /* at most once, except for the smallest numbers */
        shift += middle < 1e8 ? 1 : -1;
        factor = POWERS[shift < 0 ? -shift : shift];
        middle = shift < 0 ? exact / factor : exact * factor;
    }
    int64_t from = (int64_t)ceil((shift < 0 ? low / factor : low * factor) + 1e-6);
    int64_t to = (int64_t)floor((shift < 0 ? high / factor : high * factor) - 1e-6);
    int dropped = 0;
    double unit = 1;
    while (dropped < 9 && (from + 9) / 10 <= to / 10) {
        from = (from + 9) / 10;
        to /= 10;
        dropped++;
        unit *= 10;
    }
    int64_t digits = (int64_t)rint(middle / unit);
    if (digits < from) digits = from;
    if (digits > to) digits = to;
    char text[20];
    int count = 0;
    for (; digits; digits /= 10) text[19 - count++] = (char)('0' + digits % 10);
    bytes_t first = (bytes_t)text + 20 - count;
    int zeros = dropped - shift, point = count + zeros; /* zeros to append; places before the point */
    if (zeros >= 0 && point <= 13) {
        memcpy(out, first, (size_t)count);
        memset(out + count, '0', (size_t)zeros);
        memcpy(out + point, ".0", 2);
        return out + point + 2;
    }
    if (0 < point && point <= 13) {
        memcpy(out, first, (size_t)point);
        out[point] = '.';
        memcpy(out + point + 1, first + point, (size_t)(count - point));
        return out + count + 1;
    }
    if (-6 < point && point <= 0) {
        memcpy(out, "0.00000", 7);
        memcpy(out + 2 - point, first, (size_t)count);
        return out + 2 - point + count;
    }
    *out++ = (char)first[0];
    if (count > 1) {
        *out++ = '.';
        memcpy(out, first + 1, (size_t)(count - 1));
        out += count - 1;
    }
    *out++ = 'e';
    int exponent = point - 1;
    if (exponent < 0) {
        *out++ = '-';
        exponent = -exponent;
    }
    if (exponent > 9) *out++ = (char)('0' + exponent / 10);
    *out++ = (char)('0' + exponent % 10);
    return out;
}

#define LONGEST 18 /* bytes of a number: sign, nine digits, point, four zeros or an exponent, space */

/* Writes rows of text or binary: a word, then its numbers. `words` are joined by `separator`. */
static PyObject *format_rows(PyObject *args, char separator) {
    Py_buffer words, vectors;
    Py_ssize_t size;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*n", &words, &vectors, &size)) return NULL;
    if (size < 1 || size > MAX_SIZE || vectors.len % (4 * size)) {
        PyErr_SetString(PyExc_ValueError, "vectors are no rows of vector_size float32");
        goto done;
    }
    int text = separator == '\n';
    Py_ssize_t rows = vectors.len / (4 * size), used = 0, row = 0;
    int words_left = 0;
    Py_ssize_t room = words.len + rows * (2 + size * (text ? LONGEST : 4));
    result = PyByteArray_FromStringAndSize(NULL, room);
    if (!result) goto done;
    char *out = PyByteArray_AsString(result);
    Py_BEGIN_ALLOW_THREADS;
    const char *word = words.buf, *end = word + words.len, *in = vectors.buf;
    char *at = out;
    for (; row < rows && word <= end; row++) {
        const char *stop = memchr(word, separator, (size_t)(end - word));
        if (!stop) stop = end;
        memcpy(at, word, (size_t)(stop - word));
        at += stop - word;
        word = stop + 1;
        if (text) {
            for (Py_ssize_t i = 0; i < size; i++, in += 4) {
                float value;
                memcpy(&value, in, 4);
                *at++ = ' ';
                at = write_number(value, at);
            }
            *at++ = '\n';
        } else {
            *at++ = ' ';
            memcpy(at, in, (size_t)(4 * size));
            at += 4 * size;
            in += 4 * size;
        }
    }
    used = at - out;
    words_left = word <= end;
    Py_END_ALLOW_THREADS;
    if (row < rows || words_left) {
        PyErr_SetString(PyExc_ValueError, "there are not as many words as rows");
        Py_CLEAR(result);
    } else if (PyByteArray_Resize(result, used) < 0) {
        Py_CLEAR(result);
    }
done:
    PyBuffer_Release(&words);
    PyBuffer_Release(&vectors);
    return result;
}

static PyObject *format_text(PyObject *self, PyObject *args) {
    (void)self;
    return format_rows(args, '\n');
}

static PyObject *format_binary(PyObject *self, PyObject *args) {
    (void)self;
    return format_rows(args, ' ');
}

static PyMethodDef methods[] = {
    {"word_set", word_set, METH_O, "word_set(words) -> bytes"},
    {"parse_text", parse_text, METH_VARARGS, "parse_text(data, vector_size, most, word_set)"},
    {"parse_binary", parse_binary, METH_VARARGS, "parse_binary(data, vector_size, most, word_set, is_last, before)"},
    {"format_text", format_text, METH_VARARGS, "format_text(words, vectors, vector_size)"},
    {"format_binary", format_binary, METH_VARARGS, "format_binary(words, vectors, vector_size)"},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *self) {
    (void)self;
    return draw_hash_key();
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)prepare}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernels", "Inner loops of reading and writing vector files.", 0, methods, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModuleDef_Init(&module); }
