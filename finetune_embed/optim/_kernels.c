/* The inner loops of a training step by rows: grouping ids, summing rows, the features
 * of texts, the steps of rows, Adam in place.
 *
 * Everything here has a slower counterpart in torch that gives the same numbers within rounding;
 * `kernels.py` and `adam.py` choose. Functions take buffers, release the interpreter lock while they
 * work, and never read or write outside of the given lengths: row numbers are checked.
 *
 * Each row belongs to one thread and is processed in one order, so results don't depend on the
 * number of threads. Multiplications and additions are not fused, so results don't depend on the
 * processor either (see the compiler's arguments in pyproject.toml).
 */
#define _GNU_SOURCE
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#define THREADS
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address, 1, 2)
#define ALWAYS_INLINE static inline __attribute__((always_inline)) /* compiled for each processor with its caller */
#define INDEPENDENT _Pragma("GCC ivdep") /* what a loop writes is not what it reads elsewhere */
#else
#define PREFETCH(address) ((void)(address))
#define ALWAYS_INLINE static inline
#define INDEPENDENT
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define restrict __restrict /* its C mode has no C99 keyword */
#endif

#define MOST_THREADS 64
#define PARTS 8           /* for each thread */
#define ENOUGH_WORK 65536 /* numbers that make it worthwhile to wake a thread of OpenMP */
#define START_WORK 262144 /* numbers that make it worthwhile to start a thread */
#define LINE 16           /* numbers that are fetched together */
#define IN_FLIGHT 1200    /* numbers that are fetched before they are needed */
#define BLOCK 512         /* numbers of a row that are summed before they are used */
#define WINDOW 3          /* words of a window that are summed in one pass */
#define AHEAD 8           /* tokens that are fetched before they are needed */
#define KNOWN 128         /* counts of steps whose corrections are kept; a power of two */

/* Returns how many rows before its use a row is fetched: one line of it for each line of the current row. To
 * fetch all its lines at once would fill the processor's queue of pending loads and stall the work. */
static Py_ssize_t rows_ahead(Py_ssize_t size) {
    Py_ssize_t rows = IN_FLIGHT / size;
    return rows < 2 ? 2 : rows > 32 ? 32 : rows;
}

static inline Py_ssize_t least(Py_ssize_t a, Py_ssize_t b) { return a < b ? a : b; }

/* ---------------------------------------------------------------- row ranges in threads */

typedef void (*work_t)(const void *job, Py_ssize_t first, Py_ssize_t last);

/* Ranges of rows, which threads take one after the other. */
typedef struct {
    work_t work;
    const void *job;
    Py_ssize_t bounds[MOST_THREADS * PARTS + 1];
    int parts, next;
} ranges_t;

/* Returns how many threads some work is worth, at most as many as asked for. Negative numbers ask for
 * threads of our own, which sleep when they are done, instead of those of OpenMP, which spin. */
static int threads_for(int threads, double numbers) {
    int own = threads < 0, most = threads < -MOST_THREADS ? MOST_THREADS : own ? -threads : threads;
    double worth = numbers / (own ? START_WORK : ENOUGH_WORK);
    int enough = worth < MOST_THREADS ? (int)worth : MOST_THREADS;
    if (most > enough) most = enough;
    return most < 2 ? 1 : own ? -most : most;
}

#ifdef THREADS
/* The entry point of the OpenMP library that torch has loaded. Its threads keep spinning for milliseconds
 * after each of torch's operations; our own threads would have to share the processors with them.
 * They don't survive a fork: a child process starts new threads for each call. */
static void (*openmp)(void (*)(void *), void *, unsigned, unsigned);

static void forget_openmp(void) { openmp = NULL; }

static void take_ranges(void *argument) {
    ranges_t *ranges = argument;
    int part;
    while ((part = __atomic_fetch_add(&ranges->next, 1, __ATOMIC_RELAXED)) < ranges->parts)
        ranges->work(ranges->job, ranges->bounds[part], ranges->bounds[part + 1]);
}

static void *thread_main(void *argument) {
    take_ranges(argument);
    return NULL;
}

/* Works on rows, in this thread and in others. `starts` (rows + 1), if given, is the work that comes
 * before each row, in addition to one unit for each row. */
static void run(work_t work, const void *job, Py_ssize_t rows, const int64_t *starts, int threads) {
    int own = threads < 0;
    if (own) threads = -threads;
    if (threads < 2) {
        work(job, 0, rows);
        return;
    }
    ranges_t ranges = {.work = work, .job = job, .parts = threads * PARTS};
    double all = (double)rows + (starts ? (double)starts[rows] : 0);
    for (Py_ssize_t row = 0, part = 1; part < ranges.parts; part++) {
        double most = all * (double)part / ranges.parts;
        if (!starts) row = (Py_ssize_t)most;
        while (starts && row < rows && (double)row + (double)starts[row] < most) row++;
        ranges.bounds[part] = row;
    }
    ranges.bounds[ranges.parts] = rows;
    if (openmp && !own) {
        openmp(take_ranges, &ranges, (unsigned)threads, 0);
        return;
    }
    pthread_t others[MOST_THREADS];
    int started = 0;
    while (started < threads - 1 && !pthread_create(&others[started], NULL, thread_main, &ranges)) started++;
    take_ranges(&ranges);
    while (started) pthread_join(others[--started], NULL);
}
#else
static void run(work_t work, const void *job, Py_ssize_t rows, const int64_t *starts, int threads) {
    (void)starts, (void)threads;
    work(job, 0, rows);
}
#endif

/* ---------------------------------------------------------------- arguments */

/* Returns whether a buffer holds `count` rows of `bytes` bytes, of numbers of `number` bytes each; sets the
 * error if it does not. */
static int holds_rows(const Py_buffer *buffer, Py_ssize_t count, Py_ssize_t bytes, size_t number, const char *name) {
    if (bytes < 0 || count < 0 || (bytes && count > PY_SSIZE_T_MAX / bytes) || buffer->len != count * bytes)
        PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd x %zd", name, buffer->len, count, bytes);
    else if (buffer->len && (uintptr_t)buffer->buf % number)
        PyErr_Format(PyExc_ValueError, "%s does not begin at a multiple of %zu bytes", name, number);
    else
        return 1;
    return 0;
}

/* The same for `count` numbers of `size` bytes. */
static int holds(const Py_buffer *buffer, Py_ssize_t count, Py_ssize_t size, const char *name) {
    return holds_rows(buffer, count, size, (size_t)size, name);
}

/* Returns the bytes of a row of float32; sets the error and returns 0 if there can be no such row. */
static Py_ssize_t row_bytes(Py_ssize_t size) {
    if (size > 0 && size <= PY_SSIZE_T_MAX / 4) return size * 4;
    PyErr_SetString(PyExc_ValueError, "rows have no numbers");
    return 0;
}

static int in_range(const int64_t *ids, Py_ssize_t count, int64_t end, Py_ssize_t *at) {
    for (Py_ssize_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= end) {
            *at = i;
            return 0;
        }
    }
    return 1;
}

static PyObject *out_of_range(const int64_t *ids, Py_ssize_t at, int64_t end) {
    return PyErr_Format(PyExc_IndexError, "row %lld is out of range for a table of %lld rows", (long long)ids[at],
                        (long long)end);
}

/* ---------------------------------------------------------------- grouping */

#define DIGIT 11 /* most bits of a key that a pass sorts by: their counts stay in the nearest cache */
#define PASSES 3 /* for ids of 32 bits */

/* Sorts keys by the id in their upper half, below `end`, stable. `keys` holds the result if the number of
 * passes is even, `spare` if it is odd; returns that number. */
static int sort_by_id(uint64_t *keys, uint64_t *spare, Py_ssize_t count, uint64_t end) {
    int bits = 1;
    while (bits < 32 && (end - 1) >> bits) bits++;
    int passes = (bits + DIGIT - 1) / DIGIT, width = (bits + passes - 1) / passes;
    uint64_t mask = ((uint64_t)1 << width) - 1;
    uint32_t at[PASSES][1 << DIGIT] = {{0}};
    for (Py_ssize_t i = 0; i < count; i++)
        for (int pass = 0; pass < passes; pass++) at[pass][keys[i] >> (32 + pass * width) & mask]++;
    for (int pass = 0; pass < passes; pass++) {
        uint32_t sum = 0;
        for (uint64_t digit = 0; digit <= mask; digit++) {
            uint32_t here = at[pass][digit];
            at[pass][digit] = sum;
            sum += here;
        }
        for (Py_ssize_t i = 0; i < count; i++) spare[at[pass][keys[i] >> (32 + pass * width) & mask]++] = keys[i];
        uint64_t *swap = keys;
        keys = spare;
        spare = swap;
    }
    return passes;
}

/* group(ids, end, lengths | None, rows, order, starts) -> int
 *
 * ids int64 (N,) below `end`. Writes the different ids in ascending order to `rows` int64 (N,); the
 * positions of the ids, by row and in each by position, to `order` int64 (N,); and where each row's
 * positions start to `starts` int64 (N + 1,). With lengths int64 (B,), `order` holds the numbers of
 * the bags instead of positions. Returns the number of rows. */
static PyObject *group(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer ids, lengths, rows, order, starts;
    Py_ssize_t end, bad = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nz*w*w*w*", &ids, &end, &lengths, &rows, &order, &starts)) return NULL;
    Py_ssize_t count = ids.len / 8, found = 0, bags = lengths.buf ? lengths.len / 8 : 0;
    const int64_t *length = lengths.buf;
    if (!holds(&ids, count, 8, "ids") || !holds(&rows, count, 8, "rows") || !holds(&order, count, 8, "order") ||
        !holds(&starts, count + 1, 8, "starts") || (length && !holds(&lengths, bags, 8, "lengths")))
        goto done;
    if ((uint64_t)count > UINT32_MAX || (uint64_t)bags > UINT32_MAX || (uint64_t)end > UINT32_MAX || end < 0) {
        PyErr_SetString(PyExc_ValueError, "ids or rows are too many to be counted in 32 bits");
        goto done;
    }
    const int64_t *id = ids.buf;
    if (!in_range(id, count, end, &bad)) {
        out_of_range(id, bad, end);
        goto done;
    }
    int64_t left = count;
    for (Py_ssize_t i = 0; i < bags && left >= 0; i++) left = length[i] < 0 ? -1 : left - length[i];
    if (length && left) {
        PyErr_SetString(PyExc_ValueError, "lengths do not add up to the number of ids");
        goto done;
    }
    uint64_t *keys = malloc((size_t)(count ? count : 1) * 16), *sorted = keys;
    if (!keys) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS;
    int64_t *row = rows.buf, *position = order.buf, *start = starts.buf;
    if (length) {
        uint64_t *key = keys;
        for (Py_ssize_t bag = 0; bag < bags; bag++)
            for (int64_t i = 0; i < length[bag]; i++) *key++ = (uint64_t)*id++ << 32 | (uint64_t)bag;
    } else {
        for (Py_ssize_t i = 0; i < count; i++) keys[i] = (uint64_t)id[i] << 32 | (uint64_t)i;
    }
    if (count && sort_by_id(keys, keys + count, count, (uint64_t)end) % 2) sorted = keys + count;
    int64_t before = -1;
    for (Py_ssize_t i = 0; i < count; i++) { /* without a branch, which would be hard to predict */
        int64_t this = (int64_t)(sorted[i] >> 32);
        position[i] = (int64_t)(sorted[i] & UINT32_MAX);
        row[found] = this;
        start[found] = i;
        found += this != before;
        before = this;
    }
    start[found] = count;
    Py_END_ALLOW_THREADS;
    free(keys);
    result = PyLong_FromSsize_t(found);
done:
    PyBuffer_Release(&ids);
    if (lengths.obj) PyBuffer_Release(&lengths);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&order);
    PyBuffer_Release(&starts);
    return result;
}

/* increasing(ids, end) -> bool: whether ids int64 (N,), below `end`, are each above the one before. */
static PyObject *increasing(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer ids;
    Py_ssize_t end, bad = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*n", &ids, &end)) return NULL;
    const int64_t *id = ids.buf;
    Py_ssize_t count = ids.len / 8, i = 1;
    if (!holds(&ids, count, 8, "ids")) goto done;
    if (!in_range(id, count, end, &bad)) {
        out_of_range(id, bad, end);
        goto done;
    }
    while (i < count && id[i - 1] < id[i]) i++;
    result = PyBool_FromLong(i >= count);
done:
    PyBuffer_Release(&ids);
    return result;
}

/* ---------------------------------------------------------------- sums */

/* Rows of numbers, and which of them make up each sum u: those in source[starts[u]:starts[u + 1]]. */
typedef struct {
    const float *values;
    const int64_t *source, *starts, *lengths; /* with lengths, a row counts as one over its length */
    Py_ssize_t size;
} sums_t;

ALWAYS_INLINE float share(const sums_t *from, Py_ssize_t at) {
    return from->lengths ? 1 / (float)from->lengths[from->source[at]] : 1;
}

ALWAYS_INLINE const float *source_row(const sums_t *from, Py_ssize_t at) {
    return from->values + from->source[at] * from->size;
}

#define TOGETHER 4 /* parts that are added in a pass over a row */

/* Adds parts to `count` numbers, one after the other, and fetches a line of each next part. */
ALWAYS_INLINE void add_line(float *restrict out, const float *const *part, const float *of, const float *const *next,
                            int parts, Py_ssize_t line, Py_ssize_t count) {
    for (int k = 0; k < parts; k++) PREFETCH(next[k] + line);
    INDEPENDENT for (Py_ssize_t i = line; i < line + count; i++) {
        float sum = out[i];
        for (int k = 0; k < parts; k++) sum += part[k][i] * of[k];
        out[i] = sum;
    }
}

/* Adds the parts from `at` to `at + parts` to `count` numbers, starting at the column `column`, and fetches the
 * parts that come `ahead` of them and before `end`. */
ALWAYS_INLINE void add_parts(const sums_t *from, Py_ssize_t at, int parts, Py_ssize_t end, Py_ssize_t ahead,
                             Py_ssize_t column, Py_ssize_t count, float *restrict out) {
    const float *part[TOGETHER], *next[TOGETHER];
    float of[TOGETHER];
    for (int k = 0; k < parts; k++) {
        part[k] = source_row(from, at + k) + column;
        next[k] = source_row(from, least(at + ahead + k, end - 1)) + column;
        of[k] = share(from, at + k);
    }
    Py_ssize_t line = 0;
    for (; line + LINE <= count; line += LINE) add_line(out, part, of, next, parts, line, LINE);
    add_line(out, part, of, next, parts, line, count - line);
}

/* Writes `count` numbers of a sum, starting at the column `column`, to `out`. */
ALWAYS_INLINE void sum_row(const sums_t *from, Py_ssize_t row, Py_ssize_t end, Py_ssize_t ahead, Py_ssize_t column,
                           Py_ssize_t count, float *restrict out) {
    Py_ssize_t at = from->starts[row], stop = from->starts[row + 1];
    memset(out, 0, (size_t)count * sizeof(float));
    for (; (stop - at) % TOGETHER; at++) add_parts(from, at, 1, end, ahead, column, count, out);
    for (; at < stop; at += TOGETHER) add_parts(from, at, TOGETHER, end, ahead, column, count, out);
}

typedef struct {
    sums_t from;
    float *out;
} sum_job_t;

FOR_EACH_CPU static void sum_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const sum_job_t *job = argument;
    Py_ssize_t size = job->from.size, end = job->from.starts[last], ahead = rows_ahead(size);
    for (Py_ssize_t row = first; row < last; row++)
        sum_row(&job->from, row, end, ahead, 0, size, job->out + row * size);
}

/* Returns whether `values`, rows of `bytes` bytes, can be summed by `source` int64 (N,), `starts` int64 (rows + 1,)
 * and, if given, `lengths`, one for each row of values; sets the error if they cannot. */
static int can_sum(const Py_buffer *values, const Py_buffer *source, const Py_buffer *starts, const Py_buffer *lengths,
                   Py_ssize_t rows, Py_ssize_t bytes) {
    Py_ssize_t count = source->len / 8, end = values->len / bytes, bad = 0;
    const int64_t *start = starts->buf;
    if (!holds_rows(values, end, bytes, 4, "values") || !holds(source, count, 8, "source") ||
        !holds(starts, rows + 1, 8, "starts") || (lengths->obj && !holds(lengths, end, 8, "lengths")))
        return 0;
    if (!in_range(source->buf, count, end, &bad)) {
        out_of_range(source->buf, bad, end);
        return 0;
    }
    int rising = start[0] == 0 && start[rows] == count;
    for (Py_ssize_t i = 0; rising && i < rows; i++) rising = start[i] <= start[i + 1];
    if (!rising) PyErr_SetString(PyExc_ValueError, "starts do not rise from 0 to the number of sources");
    return rising;
}

/* sum_rows(values, source, starts, lengths | None, out, size, threads) -> None
 *
 * Writes to each row of `out` float32 (U, size) the sum of the rows of `values` float32 (M, size)
 * whose numbers are source[starts[u]:starts[u + 1]], in that order; zeros for none. With lengths
 * int64 (M,), a row counts as one over its length, like the gradient of a mean. */
static PyObject *sum_rows(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer values, source, starts, lengths, out;
    Py_ssize_t size;
    int threads;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*z*w*ni", &values, &source, &starts, &lengths, &out, &size, &threads))
        return NULL;
    Py_ssize_t bytes = row_bytes(size), rows = bytes ? out.len / bytes : 0;
    if (!bytes || !holds_rows(&out, rows, bytes, 4, "out") || !can_sum(&values, &source, &starts, &lengths, rows, bytes))
        goto done;
    Py_BEGIN_ALLOW_THREADS;
    sum_job_t job = {{values.buf, source.buf, starts.buf, lengths.buf, size}, out.buf};
    run(sum_range, &job, rows, starts.buf, threads_for(threads, (double)(source.len / 8) * (double)size));
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&values);
    PyBuffer_Release(&source);
    PyBuffer_Release(&starts);
    if (lengths.obj) PyBuffer_Release(&lengths);
    PyBuffer_Release(&out);
    return result;
}

/* ---------------------------------------------------------------- norms and zeros of rows */

#define LANES 8

typedef struct {
    const float *values;
    double *squares;
    Py_ssize_t size;
} squares_t;

/* Sums in LANES parts, always the same ones: fast, and with one result. */
FOR_EACH_CPU static void squares_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const squares_t *job = argument;
    Py_ssize_t size = job->size;
    for (Py_ssize_t row = first; row < last; row++) {
        const float *value = job->values + row * size;
        double lanes[LANES] = {0}, sum = 0;
        Py_ssize_t i = 0;
        for (; i + LANES <= size; i += LANES)
            for (int lane = 0; lane < LANES; lane++) lanes[lane] += (double)value[i + lane] * (double)value[i + lane];
        for (int lane = 0; i < size; i++, lane++) lanes[lane] += (double)value[i] * (double)value[i];
        for (int lane = 0; lane < LANES; lane++) sum += lanes[lane];
        job->squares[row] = sum;
    }
}

/* squares(values, out, size, threads) -> None: the sum of squares of each row, in float64. */
static PyObject *squares(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer values, out;
    Py_ssize_t size;
    int threads;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*w*ni", &values, &out, &size, &threads)) return NULL;
    Py_ssize_t rows = out.len / 8, bytes = row_bytes(size);
    if (!bytes || !holds(&out, rows, 8, "out") || !holds_rows(&values, rows, bytes, 4, "values")) goto done;
    Py_BEGIN_ALLOW_THREADS;
    squares_t job = {values.buf, out.buf, size};
    run(squares_range, &job, rows, NULL, threads_for(threads, (double)rows * (double)size));
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&values);
    PyBuffer_Release(&out);
    return result;
}

typedef struct {
    sums_t from;        /* source NULL: the values are the rows themselves */
    const float *first; /* of sums: the first number of each row of values; it nearly always decides */
    uint8_t *out;
} nonzero_job_t;

static void nonzero_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const nonzero_job_t *job = argument;
    const sums_t *from = &job->from;
    for (Py_ssize_t row = first; row < last; row++) {
        float sum = 0;
        if (!from->source) {
            const float *value = from->values + row * from->size;
            for (Py_ssize_t i = 0; i < from->size && sum == 0; i++) sum = value[i];
        } else {
            Py_ssize_t start = from->starts[row], stop = from->starts[row + 1];
            for (Py_ssize_t at = start; at < stop; at++) sum += job->first[from->source[at]] * share(from, at);
            for (Py_ssize_t i = 1; i < from->size && sum == 0; i++)
                for (Py_ssize_t at = start; at < stop; at++) sum += source_row(from, at)[i] * share(from, at);
        }
        job->out[row] = sum != 0;
    }
}

/* nonzero_rows(values, source | None, starts | None, lengths | None, out, size, threads) -> int
 *
 * Writes to `out` uint8 (U,) whether each row of `values` float32 (U, size), or each row that `sum_rows`
 * would make of them, is not all zero, and returns the number of such rows. */
static PyObject *nonzero_rows(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer values, source, starts, lengths, out;
    Py_ssize_t size, count = 0;
    int threads;
    float *column = NULL;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*z*z*z*w*ni", &values, &source, &starts, &lengths, &out, &size, &threads))
        return NULL;
    Py_ssize_t rows = out.len, bytes = row_bytes(size);
    int sums = source.obj && starts.obj;
    if (!bytes || !(sums ? can_sum(&values, &source, &starts, &lengths, rows, bytes)
                         : holds_rows(&values, rows, bytes, 4, "values")))
        goto done;
    Py_ssize_t number = sums ? values.len / bytes : 0;
    if (sums && !(column = malloc((size_t)(number + 1) * sizeof(float)))) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS;
    const uint8_t *kept = out.buf;
    const float *value = values.buf;
    for (Py_ssize_t i = 0; i < number; i++) column[i] = value[i * size];
    nonzero_job_t job = {
        {value, sums ? source.buf : NULL, sums ? starts.buf : NULL, lengths.buf, size}, column, out.buf};
    run(nonzero_range, &job, rows, job.from.starts, threads_for(threads, (double)rows * LINE));
    for (Py_ssize_t row = 0; row < rows; row++) count += kept[row];
    Py_END_ALLOW_THREADS;
    result = PyLong_FromSsize_t(count);
done:
    free(column);
    PyBuffer_Release(&values);
    if (source.obj) PyBuffer_Release(&source);
    if (starts.obj) PyBuffer_Release(&starts);
    if (lengths.obj) PyBuffer_Release(&lengths);
    PyBuffer_Release(&out);
    return result;
}

/* ---------------------------------------------------------------- slots */

/* find_slots(index, rows, slots) -> int
 *
 * Writes the numbers that `index` int32 (V,) has for the rows `rows` int64 (U,) to `slots` int64 (U,), and
 * returns how many of them are below 0. */
static PyObject *find_slots(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer index, rows, slots;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*w*", &index, &rows, &slots)) return NULL;
    Py_ssize_t table = index.len / 4, count = rows.len / 8, bad = 0, missing = 0;
    if (!holds(&index, table, 4, "index") || !holds(&rows, count, 8, "rows") || !holds(&slots, count, 8, "slots"))
        goto done;
    const int32_t *slot_of = index.buf;
    const int64_t *row = rows.buf;
    int64_t *out = slots.buf;
    if (!in_range(row, count, table, &bad)) {
        out_of_range(row, bad, table);
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        out[i] = slot_of[row[i]];
        missing += out[i] < 0;
    }
    result = PyLong_FromSsize_t(missing);
done:
    PyBuffer_Release(&index);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&slots);
    return result;
}

/* count_steps(steps, slots, counts) -> None
 *
 * Adds one to the numbers of `steps` int64 (S,) in `slots` int64 (U,), and writes the sums to `counts` int64 (U,). */
static PyObject *count_steps(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer steps, slots, counts;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "w*y*w*", &steps, &slots, &counts)) return NULL;
    Py_ssize_t all = steps.len / 8, count = slots.len / 8, bad = 0;
    if (!holds(&steps, all, 8, "steps") || !holds(&slots, count, 8, "slots") || !holds(&counts, count, 8, "counts"))
        goto done;
    const int64_t *slot = slots.buf;
    int64_t *step = steps.buf, *out = counts.buf;
    if (!in_range(slot, count, all, &bad)) {
        out_of_range(slot, bad, all);
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) out[i] = step[slot[i]] = (int64_t)((uint64_t)step[slot[i]] + 1);
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&steps);
    PyBuffer_Release(&slots);
    PyBuffer_Release(&counts);
    return result;
}

/* ---------------------------------------------------------------- Adam */

typedef struct {
    double lr, eps, beta1, beta2;
} options_t;

typedef struct {
    float rate, eps, clip, decay, beta1, rest1, beta2, rest2;
} step_t;

/* `pow` gives other bits on other processors. */
static double power(double base, int64_t exponent) {
    double result = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

/* Returns step number `n`, without clip and decay. With the corrected moments m / (1 - beta1^n) and
 * v / (1 - beta2^n) an update is -lr m / (sqrt v + eps); with the moments themselves it is
 * rate m / (sqrt v + epsilon). */
static step_t step_number(int64_t n, const options_t *by) {
    double root = sqrt(1 - power(by->beta2, n)), first = 1 - power(by->beta1, n);
    return (step_t){(float)(-by->lr * root / first), (float)(by->eps * root), 1, 1, (float)by->beta1,
                    (float)(1 - by->beta1), (float)by->beta2, (float)(1 - by->beta2)};
}

/* Numbers that are updated now, or later. */
typedef struct {
    float *w, *m, *v;
} numbers_t;

ALWAYS_INLINE numbers_t from_column(numbers_t of, Py_ssize_t column) {
    return (numbers_t){of.w + column, of.m + column, of.v + column};
}

/* With g = grad clip: m <- lerp(m, g, 1 - beta1); v <- beta2 v + (1 - beta2) g^2;
 * w <- w decay + m / (sqrt v + eps) rate. Updates `count` numbers, and fetches a line of the next. */
ALWAYS_INLINE void update_line(numbers_t at, numbers_t next, const float *restrict grad, step_t by,
                               Py_ssize_t count) {
    float *restrict w = at.w, *restrict m = at.m, *restrict v = at.v;
    PREFETCH(next.w);
    PREFETCH(next.m);
    PREFETCH(next.v);
    INDEPENDENT for (Py_ssize_t i = 0; i < count; i++) {
        float g = grad[i] * by.clip, difference = g - m[i];
        m[i] = by.rest1 < 0.5f ? m[i] + by.rest1 * difference : g - difference * by.beta1;
        v[i] = v[i] * by.beta2 + by.rest2 * g * g;
        w[i] = w[i] * by.decay + m[i] / (sqrtf(v[i]) + by.eps) * by.rate;
    }
}

ALWAYS_INLINE void update(numbers_t at, numbers_t next, const float *restrict grad, step_t by, Py_ssize_t count) {
    Py_ssize_t line = 0;
    for (; line + LINE <= count; line += LINE)
        update_line(from_column(at, line), from_column(next, line), grad + line, by, LINE);
    update_line(from_column(at, line), from_column(next, line), grad + line, by, count - line);
}

typedef struct {
    float *weight, *exp_avg, *exp_avg_sq;
    const float *scale, *clip, *decay;
    const int64_t *rows, *slots, *counts;
    sums_t grad; /* source NULL: the values are the gradients themselves */
    options_t by;
} adam_t;

ALWAYS_INLINE numbers_t numbers(const adam_t *job, Py_ssize_t row) {
    Py_ssize_t at = job->slots[row] * job->grad.size;
    return (numbers_t){job->weight + job->rows[row] * job->grad.size, job->exp_avg + at, job->exp_avg_sq + at};
}

FOR_EACH_CPU static void adam_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const adam_t *job = argument;
    Py_ssize_t size = job->grad.size, ahead = rows_ahead(size), end = job->grad.source ? job->grad.starts[last] : 0;
    float block[BLOCK];
    step_t steps[KNOWN];
    int64_t counts[KNOWN] = {0}; /* many rows have the same */
    for (Py_ssize_t row = first; row < last; row++) {
        numbers_t here = numbers(job, row), next = numbers(job, least(row + ahead, last - 1));
        int64_t count = job->counts[row], at = count & (KNOWN - 1);
        if (counts[at] != count) counts[at] = count, steps[at] = step_number(count, &job->by);
        step_t by = steps[at];
        if (job->scale) by.rate *= job->scale[row];
        if (job->clip) by.clip = job->clip[row];
        if (job->decay) by.decay = job->decay[row];
        for (Py_ssize_t column = 0; column < size; column += BLOCK) {
            Py_ssize_t count = least(size - column, BLOCK);
            const float *grad = job->grad.values + row * size + column;
            if (job->grad.source) {
                sum_row(&job->grad, row, end, ahead, column, count, block);
                grad = block;
            }
            update(from_column(here, column), from_column(next, column), grad, by, count);
        }
    }
}

/* adam(weight, rows, grad, source | None, starts | None, lengths | None, exp_avg, exp_avg_sq, slots, counts,
 *      scale | None, clip | None, decay | None, lr, eps, beta1, beta2, size, threads) -> None
 *
 * Updates the rows `rows` int64 (U,), ascending, of `weight` float32 (V, size), and the moments
 * (S, size) in the slots `slots` int64 (U,), by the gradients `grad` (U, size), or by those that `sum_rows`
 * would make of `grad` (M, size). It is step number `counts` int64 (U,), 1 or more, of each row; `scale`, `clip`
 * and `decay` are float32 (U,). */
static PyObject *adam(PyObject *self, PyObject *args) {
    (void)self;
    enum { WEIGHT, ROWS, GRAD, SOURCE, STARTS, LENGTHS, FIRST, SECOND, SLOTS, COUNTS, SCALE, CLIP, DECAY, BUFFERS };
    Py_buffer b[BUFFERS];
    memset(b, 0, sizeof b);
    Py_ssize_t size, bad = 0;
    options_t by;
    int threads;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "w*y*y*z*z*z*w*w*y*y*z*z*z*ddddni", &b[WEIGHT], &b[ROWS], &b[GRAD], &b[SOURCE],
                          &b[STARTS], &b[LENGTHS], &b[FIRST], &b[SECOND], &b[SLOTS], &b[COUNTS], &b[SCALE],
                          &b[CLIP], &b[DECAY], &by.lr, &by.eps, &by.beta1, &by.beta2, &size, &threads))
        return NULL;
    Py_ssize_t bytes = row_bytes(size);
    if (!bytes) goto done;
    Py_ssize_t rows = b[ROWS].len / 8, table = b[WEIGHT].len / bytes, slots = b[FIRST].len / bytes;
    int sums = b[SOURCE].obj && b[STARTS].obj;
    if (!holds_rows(&b[WEIGHT], table, bytes, 4, "weight") || !holds(&b[ROWS], rows, 8, "rows") ||
        !holds_rows(&b[FIRST], slots, bytes, 4, "exp_avg") || !holds(&b[SLOTS], rows, 8, "slots") ||
        !holds_rows(&b[SECOND], slots, bytes, 4, "exp_avg_sq") || !holds(&b[COUNTS], rows, 8, "counts") ||
        (b[SCALE].obj && !holds(&b[SCALE], rows, 4, "scale")) || (b[CLIP].obj && !holds(&b[CLIP], rows, 4, "clip")) ||
        (b[DECAY].obj && !holds(&b[DECAY], rows, 4, "decay")))
        goto done;
    if (sums ? !can_sum(&b[GRAD], &b[SOURCE], &b[STARTS], &b[LENGTHS], rows, bytes)
             : !holds_rows(&b[GRAD], rows, bytes, 4, "grad"))
        goto done;
    const int64_t *row = b[ROWS].buf, *counts = b[COUNTS].buf;
    if (!in_range(row, rows, table, &bad)) {
        out_of_range(row, bad, table);
        goto done;
    }
    if (!in_range(b[SLOTS].buf, rows, slots, &bad)) {
        out_of_range(b[SLOTS].buf, bad, slots);
        goto done;
    }
    for (Py_ssize_t i = 0; i < rows; i++) {
        if ((i && row[i - 1] >= row[i]) || counts[i] < 1) {
            PyErr_SetString(PyExc_ValueError, counts[i] < 1 ? "a count is below 1" : "rows do not rise");
            goto done;
        }
    }
    Py_BEGIN_ALLOW_THREADS;
    const int64_t *starts = sums ? b[STARTS].buf : NULL;
    adam_t job = {b[WEIGHT].buf, b[FIRST].buf, b[SECOND].buf, b[SCALE].buf, b[CLIP].buf, b[DECAY].buf, row,
                  b[SLOTS].buf,  counts,       {b[GRAD].buf, sums ? b[SOURCE].buf : NULL, starts, b[LENGTHS].buf, size},
                  by};
    run(adam_range, &job, rows, starts, threads_for(threads, (double)rows * (double)size));
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    for (int i = 0; i < BUFFERS; i++)
        if (b[i].obj) PyBuffer_Release(&b[i]);
    return result;
}

/* ---------------------------------------------------------------- features of texts */

/* The texts of a batch, and what their features are made of. */
typedef struct {
    int64_t *numbers, *starts;     /* the word of each token (N,); where each text starts (texts + 1,) */
    const int64_t *pools;          /* 0: the mean of the words, 1: their maximum, -1: their minimum */
    const int64_t *widths;         /* of the windows of filters */
    Py_ssize_t texts, words, pool_count, width_count, size, filters, places, total;
    const float *rows;    /* (words, size) */
    const float *added;   /* (words, places, filters): what a word adds to a window in each of its places */
    const float *weights; /* (places, filters, size) */
    const float *bias;    /* (width_count, filters) */
    const float *grad;    /* (texts, total) */
    float *out;           /* (texts, total) */
    int32_t *at;          /* (texts, total), or NULL: where the largest window begins; -1: cut off by ReLU */
    float *row_grad, *weight_grad, *bias_grad; /* of rows, or NULL; of weights; of bias */
} texts_t;

/* Values that the words of a text add to a window of `width` words, `size` of them in each place; `stride` is from
 * one word to the next. `tokens` is the number of tokens of all texts. */
typedef struct {
    const float *values;
    Py_ssize_t width, size, stride, tokens;
} windows_t;

/* Fetches what a word adds to a window, some tokens before it is needed, also in the next text. */
ALWAYS_INLINE void fetch_ahead(const windows_t *from, const int64_t *numbers, Py_ssize_t token) {
    if (token + AHEAD >= from->tokens) return;
    const float *next = from->values + numbers[token + AHEAD] * from->stride;
    for (Py_ssize_t f = 0; f < from->width * from->size; f += LINE) PREFETCH(next + f);
}

/* Writes `count` of the sums of the window that begins at a token. */
ALWAYS_INLINE void sum_window(const windows_t *from, const int64_t *numbers, Py_ssize_t token, Py_ssize_t end,
                              Py_ssize_t column, Py_ssize_t count, float *restrict sums) {
    Py_ssize_t last = least(token + from->width, end);
    const float *values = from->values + column;
    memcpy(sums, values + numbers[token] * from->stride, (size_t)count * sizeof(float));
    for (Py_ssize_t i = token + 1; i < last; i++) {
        const float *restrict value = values + numbers[i] * from->stride + (i - token) * from->size;
        for (Py_ssize_t f = 0; f < count; f++) sums[f] += value[f];
    }
}

/* Keeps the larger of each number and of the sum of `parts` values; with the sign -1 the smaller. */
ALWAYS_INLINE void keep_larger(float *restrict best, const float *const *part, int parts, float sign,
                               Py_ssize_t count) {
    INDEPENDENT for (Py_ssize_t f = 0; f < count; f++) {
        float sum = part[0][f];
        for (int k = 1; k < parts; k++) sum += part[k][f];
        best[f] = sign * sum > sign * best[f] ? sum : best[f];
    }
}

/* Writes the largest sums of a text's windows, one beginning at each word, and, unless it is NULL, where the first of
 * them begins. With the sign -1 the smallest; 0 for a text without words. */
ALWAYS_INLINE void largest_window(windows_t from, const int64_t *numbers, Py_ssize_t start, Py_ssize_t end, float sign,
                                  float *out, int32_t *where) {
    float sums[BLOCK];
    for (Py_ssize_t column = 0; column < from.size; column += BLOCK) {
        Py_ssize_t count = least(BLOCK, from.size - column);
        float *restrict best = out + column;
        int32_t *restrict at = where ? where + column : NULL;
        memset(best, 0, (size_t)count * sizeof(float));
        if (start < end) sum_window(&from, numbers, start, end, column, count, best);
        for (Py_ssize_t f = 0; where && f < count; f++) at[f] = (int32_t)start;
        for (Py_ssize_t token = start + 1; token < end; token++) {
            if (column == 0) fetch_ahead(&from, numbers, token);
            Py_ssize_t width = least(from.width, end - token);
            if (!where && width <= WINDOW) {
                const float *part[WINDOW] = {0};
                for (Py_ssize_t k = 0; k < width; k++)
                    part[k] = from.values + column + numbers[token + k] * from.stride + k * from.size;
                if (width == 1)
                    keep_larger(best, part, 1, sign, count);
                else if (width == 2)
                    keep_larger(best, part, 2, sign, count);
                else
                    keep_larger(best, part, WINDOW, sign, count);
                continue;
            }
            sum_window(&from, numbers, token, end, column, count, sums);
            INDEPENDENT for (Py_ssize_t f = 0; f < count; f++) {
                int32_t larger = -(sign * sums[f] > sign * best[f]); /* all bits, or none */
                best[f] = larger ? sums[f] : best[f];
                if (where) at[f] = ((int32_t)token & larger) | (at[f] & ~larger);
            }
        }
    }
}

ALWAYS_INLINE void mean_row(windows_t from, const int64_t *numbers, Py_ssize_t start, Py_ssize_t end,
                            float *restrict out) {
    float length = end > start ? (float)(end - start) : 1;
    memset(out, 0, (size_t)from.size * sizeof(float));
    for (Py_ssize_t token = start; token < end; token++) {
        fetch_ahead(&from, numbers, token);
        const float *restrict row = from.values + numbers[token] * from.stride;
        for (Py_ssize_t i = 0; i < from.size; i++) out[i] += row[i];
    }
    for (Py_ssize_t i = 0; i < from.size; i++) out[i] /= length;
}

/* Writes the features of a text, and, unless it is NULL, where the largest windows begin. */
ALWAYS_INLINE void features_row(const texts_t *job, Py_ssize_t text, float *restrict out, int32_t *restrict at) {
    Py_ssize_t start = job->starts[text], end = job->starts[text + 1], tokens = job->starts[job->texts], done = 0;
    windows_t words = {job->rows, 1, job->size, job->size, tokens};
    for (Py_ssize_t pool = 0; pool < job->pool_count; pool++, done += job->size) {
        int32_t *where = at ? at + done : NULL;
        if (!job->pools[pool])
            mean_row(words, job->numbers, start, end, out + done);
        else if (job->pools[pool] > 0)
            largest_window(words, job->numbers, start, end, 1, out + done, where);
        else
            largest_window(words, job->numbers, start, end, -1, out + done, where);
    }
    const float *added = job->added, *bias = job->bias;
    for (Py_ssize_t i = 0; i < job->width_count; i++, done += job->filters, bias += job->filters) {
        windows_t windows = {added, job->widths[i], job->filters, job->places * job->filters, tokens};
        largest_window(windows, job->numbers, start, end, 1, out + done, at ? at + done : NULL);
        for (Py_ssize_t f = 0; f < job->filters; f++) {
            float value = out[done + f] + bias[f];
            if (at) at[done + f] = value <= 0 ? -1 : at[done + f];
            out[done + f] = value <= 0 ? 0 : value;
        }
        added += job->widths[i] * job->filters;
    }
}

FOR_EACH_CPU static void features_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const texts_t *job = argument;
    for (Py_ssize_t text = first, done = first * job->total; text < last; text++, done += job->total)
        if (job->at)
            features_row(job, text, job->out + done, job->at + done);
        else
            features_row(job, text, job->out + done, NULL);
}

ALWAYS_INLINE void add_scaled(float *restrict out, const float *restrict values, float by, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) out[i] += by * values[i];
}

/* Adds the gradient of a pooled row, of the words of a text, to that of the words' rows. Returns whether the words
 * in `at` are in the text. */
ALWAYS_INLINE int pool_gradient(const texts_t *job, int64_t pool, Py_ssize_t start, Py_ssize_t end, const float *grad,
                                const int32_t *at) {
    int inside = 1;
    if (!pool)
        for (Py_ssize_t token = start; token < end; token++)
            add_scaled(job->row_grad + job->numbers[token] * job->size, grad, 1 / (float)(end - start), job->size);
    for (Py_ssize_t i = 0; pool && start < end && i < job->size; i++) {
        int here = at[i] >= start && at[i] < end;
        if (here) job->row_grad[job->numbers[at[i]] * job->size + i] += grad[i];
        inside &= here;
    }
    return inside;
}

/* Adds the gradient of a largest window, from `token` to `last`, to those of its words' rows and of its filter, whose
 * weights for the first word are those of `place`. */
ALWAYS_INLINE void window_gradient(const texts_t *job, Py_ssize_t token, Py_ssize_t last, Py_ssize_t place,
                                   float grad) {
    for (; token < last; token++, place += job->filters) {
        Py_ssize_t row = job->numbers[token] * job->size, weights = place * job->size;
        add_scaled(job->weight_grad + weights, job->rows + row, grad, job->size);
        if (job->row_grad) add_scaled(job->row_grad + row, job->weights + weights, grad, job->size);
    }
}

/* Writes the gradients of all texts. Returns whether all largest windows begin in their texts. */
FOR_EACH_CPU static int add_gradients(const texts_t *job) {
    int inside = 1;
    Py_ssize_t weights = job->places * job->filters;
    if (job->row_grad) memset(job->row_grad, 0, (size_t)(job->words * job->size) * sizeof(float));
    memset(job->weight_grad, 0, (size_t)(weights * job->size) * sizeof(float));
    memset(job->bias_grad, 0, (size_t)(job->width_count * job->filters) * sizeof(float));
    for (Py_ssize_t text = 0; text < job->texts; text++) {
        Py_ssize_t start = job->starts[text], end = job->starts[text + 1], place = 0;
        const float *grad = job->grad + text * job->total;
        const int32_t *at = job->at + text * job->total;
        for (Py_ssize_t i = 0; i < job->pool_count; i++, grad += job->size, at += job->size)
            if (job->row_grad) inside &= pool_gradient(job, job->pools[i], start, end, grad, at);
        for (Py_ssize_t i = 0; i < job->width_count; i++, grad += job->filters, at += job->filters) {
            for (Py_ssize_t f = 0; f < job->filters; f++) {
                if (at[f] == -1 || grad[f] == 0) continue;
                int here = at[f] >= start && at[f] <= end;
                Py_ssize_t last = least(at[f] + job->widths[i], end);
                job->bias_grad[i * job->filters + f] += grad[f];
                if (here) window_gradient(job, at[f], last, place + f, grad[f]);
                inside &= here;
            }
            place += job->widths[i] * job->filters;
        }
    }
    return inside;
}

/* The first arguments of both calls. */
enum { ORDER, STARTS, LENGTHS, POOLS, WIDTHS, ROWS, GIVEN };

/* Fills in the sizes of the features; sets the error and returns 0 if they cannot be. */
static int features_from(texts_t *job, const Py_buffer *b, Py_ssize_t biases) {
    Py_ssize_t most = PY_SSIZE_T_MAX / 16;
    if (!row_bytes(job->size)) return 0;
    job->words = b[ORDER].obj ? b[STARTS].len / 8 - 1 : b[ROWS].len / row_bytes(job->size);
    job->texts = b[LENGTHS].len / 8;
    job->pool_count = b[POOLS].len / 8;
    job->width_count = b[WIDTHS].len / 8;
    job->pools = b[POOLS].buf;
    job->widths = b[WIDTHS].buf;
    if ((b[ORDER].obj && !holds(&b[STARTS], job->words + 1, 8, "starts")) ||
        !holds(&b[LENGTHS], job->texts, 8, "lengths") || !holds(&b[POOLS], job->pool_count, 8, "pools") ||
        !holds(&b[WIDTHS], job->width_count, 8, "widths") ||
        !holds_rows(&b[ROWS], job->words, job->size * 4, 4, "rows"))
        return 0;
    job->filters = job->width_count ? biases / job->width_count : 0;
    int fits = job->words >= 0 && job->pool_count <= most / job->size && job->width_count <= most / (job->filters + 1);
    for (Py_ssize_t i = 0; fits && i < job->pool_count; i++) fits = job->pools[i] >= -1 && job->pools[i] <= 1;
    for (Py_ssize_t i = 0; fits && i < job->width_count; i++) {
        fits = job->widths[i] > 0 && job->widths[i] <= most / job->size / (job->filters + 1) - job->places;
        if (fits) job->places += (Py_ssize_t)job->widths[i];
    }
    job->total = job->pool_count * job->size + job->width_count * job->filters;
    job->rows = b[ROWS].buf;
    if (!fits) PyErr_SetString(PyExc_ValueError, "there are no such pools, widths or words");
    return fits;
}

/* Makes `numbers` and `starts`, which the caller frees; sets the error and returns 0 if the texts cannot be. */
static int texts_from(texts_t *job, const Py_buffer *b) {
    const Py_buffer *given = b[ORDER].obj ? &b[ORDER] : &b[STARTS];
    Py_ssize_t tokens = given->len / 8, end = b[ORDER].obj ? tokens : job->words, bad = 0;
    const int64_t *at = given->buf, *start = b[ORDER].obj ? b[STARTS].buf : NULL, *length = b[LENGTHS].buf;
    if (!holds(given, tokens, 8, "order")) return 0;
    int rising = tokens <= INT32_MAX && (!start || (start[0] == 0 && start[job->words] == tokens));
    for (Py_ssize_t i = 0; start && rising && i < job->words; i++) rising = start[i] <= start[i + 1];
    int64_t left = tokens;
    for (Py_ssize_t i = 0; i < job->texts && left >= 0; i++) left = length[i] < 0 ? -1 : left - length[i];
    if (!rising || left) {
        PyErr_SetString(PyExc_ValueError, "starts or lengths do not add up to the number of tokens");
        return 0;
    }
    if (!in_range(at, tokens, end, &bad)) {
        out_of_range(at, bad, end);
        return 0;
    }
    job->numbers = calloc((size_t)(tokens + job->texts + 1), sizeof(int64_t));
    if (!job->numbers) {
        PyErr_NoMemory();
        return 0;
    }
    for (Py_ssize_t i = 0; !start && i < tokens; i++) job->numbers[i] = at[i];
    for (Py_ssize_t word = 0; start && word < job->words; word++)
        for (int64_t i = start[word]; i < start[word + 1]; i++) job->numbers[at[i]] = word;
    job->starts = job->numbers + tokens;
    for (Py_ssize_t i = 0; i < job->texts; i++) job->starts[i + 1] = job->starts[i] + length[i];
    return 1;
}

/* text_features(order | None, starts, lengths, pools, widths, size, rows, added, bias, out, at | None, threads) -> None
 *
 * The tokens of texts, of `lengths` int64 (B,), are words with the rows `rows` float32 (U, size): `order` int64 (N,)
 * and `starts` int64 (U + 1,) are the positions of each word, as `group` writes them; without `order`, `starts` int64
 * (N,) is the word of each token. Writes to `out` float32 (B, P * size + W * F) the pooled rows of each text's words,
 * for each of `pools` int64 (P,): 0 for the mean, 1 for the maximum, -1 for the minimum; then, for each of `widths`
 * int64 (W,), the maxima of F filters, after ReLU. A window begins at every token. Its value is what its words add in
 * their places, those up to the end of the text: `added` float32 (U, sum of widths, F); and `bias` float32 (W, F). A
 * text without words has zeros, and the ReLU of the bias.
 *
 * Writes to `at` int32, of the shape of `out`, where the first largest window begins, or -1 if ReLU cut it off; for an
 * empty text its start. */
static PyObject *text_features(PyObject *self, PyObject *args) {
    (void)self;
    enum { ADDED = GIVEN, BIAS, OUT, AT, BUFFERS };
    Py_buffer b[BUFFERS];
    memset(b, 0, sizeof b);
    texts_t job = {0};
    int threads;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "z*y*y*y*y*ny*y*y*w*z*i", &b[ORDER], &b[STARTS], &b[LENGTHS], &b[POOLS], &b[WIDTHS],
                          &job.size, &b[ROWS], &b[ADDED], &b[BIAS], &b[OUT], &b[AT], &threads))
        return NULL;
    if (!features_from(&job, b, b[BIAS].len / 4) ||
        !holds_rows(&b[ADDED], job.words, job.places * job.filters * 4, 4, "added") ||
        !holds_rows(&b[BIAS], job.width_count, job.filters * 4, 4, "bias") ||
        !holds_rows(&b[OUT], job.texts, job.total * 4, 4, "out") ||
        (b[AT].obj && !holds_rows(&b[AT], job.texts, job.total * 4, 4, "at")) || !texts_from(&job, b))
        goto done;
    if (b[AT].obj && b[AT].readonly) {
        PyErr_SetString(PyExc_BufferError, "at cannot be written to");
        goto done;
    }
    job.added = b[ADDED].buf, job.bias = b[BIAS].buf, job.out = b[OUT].buf, job.at = b[AT].buf;
    Py_BEGIN_ALLOW_THREADS;
    double each = (double)(job.pool_count * job.size) + (double)(job.places * job.filters);
    run(features_range, &job, job.texts, job.starts, threads_for(threads, (double)job.starts[job.texts] * each));
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    free(job.numbers);
    for (int i = 0; i < BUFFERS; i++)
        if (b[i].obj) PyBuffer_Release(&b[i]);
    return result;
}

/* text_gradients(order, starts, lengths, pools, widths, size, rows, weights, at, grad, weight_grad, bias_grad,
 *                row_grad | None) -> None
 *
 * Writes the gradients of the filters' weights (sum of widths, F, size), of the bias (W, F) and of the rows (U, size)
 * by that of the features, `grad` float32 (B, P * size + W * F). The others are as for `text_features`, which wrote
 * `at`. */
static PyObject *text_gradients(PyObject *self, PyObject *args) {
    (void)self;
    enum { WEIGHTS = GIVEN, AT, GRAD, WEIGHT_GRAD, BIAS_GRAD, ROW_GRAD, BUFFERS };
    Py_buffer b[BUFFERS];
    memset(b, 0, sizeof b);
    texts_t job = {0};
    int inside;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*ny*y*y*y*w*w*z*", &b[ORDER], &b[STARTS], &b[LENGTHS], &b[POOLS], &b[WIDTHS],
                          &job.size, &b[ROWS], &b[WEIGHTS], &b[AT], &b[GRAD], &b[WEIGHT_GRAD], &b[BIAS_GRAD],
                          &b[ROW_GRAD]))
        return NULL;
    if (!features_from(&job, b, b[BIAS_GRAD].len / 4)) goto done;
    Py_ssize_t bytes = job.size * 4, weights = job.places * job.filters;
    if (!holds_rows(&b[WEIGHTS], weights, bytes, 4, "weights") ||
        !holds_rows(&b[AT], job.texts, job.total * 4, 4, "at") ||
        !holds_rows(&b[GRAD], job.texts, job.total * 4, 4, "grad") ||
        !holds_rows(&b[WEIGHT_GRAD], weights, bytes, 4, "weight_grad") ||
        !holds_rows(&b[BIAS_GRAD], job.width_count, job.filters * 4, 4, "bias_grad") ||
        (b[ROW_GRAD].obj && !holds_rows(&b[ROW_GRAD], job.words, bytes, 4, "row_grad")) || !texts_from(&job, b))
        goto done;
    if (b[ROW_GRAD].obj && b[ROW_GRAD].readonly) {
        PyErr_SetString(PyExc_BufferError, "row_grad cannot be written to");
        goto done;
    }
    job.weights = b[WEIGHTS].buf, job.at = b[AT].buf, job.grad = b[GRAD].buf;
    job.weight_grad = b[WEIGHT_GRAD].buf, job.bias_grad = b[BIAS_GRAD].buf, job.row_grad = b[ROW_GRAD].buf;
    Py_BEGIN_ALLOW_THREADS;
    inside = add_gradients(&job);
    Py_END_ALLOW_THREADS;
    if (inside)
        result = Py_NewRef(Py_None);
    else
        PyErr_SetString(PyExc_ValueError, "a window begins outside of its text");
done:
    free(job.numbers);
    for (int i = 0; i < BUFFERS; i++)
        if (b[i].obj) PyBuffer_Release(&b[i]);
    return result;
}

static PyMethodDef methods[] = {
    {"group", group, METH_VARARGS, "group(ids, end, lengths, rows, order, starts) -> int"},
    {"increasing", increasing, METH_VARARGS, "increasing(ids, end) -> bool"},
    {"sum_rows", sum_rows, METH_VARARGS, "sum_rows(values, source, starts, lengths, out, size, threads)"},
    {"squares", squares, METH_VARARGS, "squares(values, out, size, threads)"},
    {"nonzero_rows", nonzero_rows, METH_VARARGS, "nonzero_rows(values, source, starts, lengths, out, ...) -> int"},
    {"find_slots", find_slots, METH_VARARGS, "find_slots(index, rows, slots) -> int"},
    {"count_steps", count_steps, METH_VARARGS, "count_steps(steps, slots, counts)"},
    {"adam", adam, METH_VARARGS, "adam(weight, rows, grad, source, starts, lengths, ...)"},
    {"text_features", text_features, METH_VARARGS, "text_features(order, starts, lengths, pools, widths, ...)"},
    {"text_gradients", text_gradients, METH_VARARGS, "text_gradients(order, starts, lengths, pools, widths, ...)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernels", "Inner loops of an optimizer step by rows.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void) {
#ifdef THREADS
    void *found = dlsym(RTLD_DEFAULT, "GOMP_parallel"); /* LLVM's and Intel's OpenMP have it too */
    memcpy(&openmp, &found, sizeof openmp);
    pthread_atfork(NULL, NULL, forget_openmp);
#endif
    return PyModuleDef_Init(&module);
}
