/* The inner loops of an optimizer step by rows: grouping ids, summing rows, Adam in place.
 *
 * Everything here has a counterpart in torch that gives the same numbers within rounding, slower;
 * `optim/_kernels.py` chooses. Functions take buffers, let go of the interpreter lock while they
 * work, and never read or write outside of the lengths they are given: row numbers are checked.
 *
 * Each row belongs to one thread and is worked on in one order, so that results don't depend on the
 * number of threads. Multiplications and additions are not fused, so that they don't depend on the
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
#else
#define PREFETCH(address) ((void)(address))
#endif

#define MOST_THREADS 64
#define PARTS 8            /* for each thread */
#define ENOUGH_WORK 65536 /* numbers for a thread; for fewer it is not worth starting */
#define AHEAD 16           /* rows that are fetched before they are needed */

static inline void fetch(const float *row, Py_ssize_t size) {
    for (Py_ssize_t i = 0; i < size; i += 16) PREFETCH(row + i);
}

/* ---------------------------------------------------------------- row ranges in threads */

typedef void (*work_t)(const void *job, Py_ssize_t first, Py_ssize_t last);

/* Ranges of rows that threads take one after the other. */
typedef struct {
    work_t work;
    const void *job;
    Py_ssize_t bounds[MOST_THREADS * PARTS + 1];
    int parts, next;
} ranges_t;

static int threads_for(int threads, double numbers) {
    int enough = numbers / ENOUGH_WORK < MOST_THREADS ? (int)(numbers / ENOUGH_WORK) : MOST_THREADS;
    if (threads > enough) threads = enough;
    return threads < 1 ? 1 : threads;
}

#ifdef THREADS
/* The entry of the OpenMP library that torch has loaded. Its threads go on spinning for milliseconds
 * after each of torch's operations; threads of our own would have to share the processors with them.
 * They don't survive a fork: a child process starts threads of its own, for each call anew. */
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

/* Works on rows, here and in further threads. `starts` (rows + 1), if given, tells how much work comes
 * before each row, beside that of the row itself. */
static void run(work_t work, const void *job, Py_ssize_t rows, const int64_t *starts, int threads) {
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
    if (openmp) {
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

/* Tells whether a buffer holds `count` items of `size` bytes; sets the error if it does not. */
static int holds(const Py_buffer *buffer, Py_ssize_t count, Py_ssize_t size, const char *name) {
    if (size > 0 && count <= PY_SSIZE_T_MAX / size && buffer->len == count * size) return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd x %zd", name, buffer->len, count, size);
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

/* Sorts positions by id, stable, eleven bits of the ids at a time. `keys` and `order` hold the
 * result if the number of passes is even, the other two if it is odd; returns that number. */
static int sort_by_id(uint64_t *keys, uint64_t *spare, Py_ssize_t count, uint64_t end) {
    int passes = 0;
    for (int shift = 32; shift < 64 && (passes == 0 || (end - 1) >> (shift - 32)); shift += 11, passes++) {
        size_t at[2048] = {0}, sum = 0;
        for (Py_ssize_t i = 0; i < count; i++) at[(keys[i] >> shift) & 2047]++;
        for (int digit = 0; digit < 2048; digit++) {
            size_t here = at[digit];
            at[digit] = sum;
            sum += here;
        }
        for (Py_ssize_t i = 0; i < count; i++) spare[at[(keys[i] >> shift) & 2047]++] = keys[i];
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
 * positions start to `starts` int64 (N + 1,). With lengths int64 (B,), `order` holds in place of
 * positions the numbers of the bags that they are in. Returns how many rows there are. */
static PyObject *group(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer ids, lengths, rows, order, starts;
    Py_ssize_t end, bad = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*nz*w*w*w*", &ids, &end, &lengths, &rows, &order, &starts)) return NULL;
    Py_ssize_t count = ids.len / 8, found = 0, bags = lengths.buf ? lengths.len / 8 : 0;
    const int64_t *length = lengths.buf;
    if (!holds(&ids, count, 8, "ids") || !holds(&rows, count, 8, "rows") || !holds(&order, count, 8, "order") ||
        !holds(&starts, count + 1, 8, "starts"))
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
    for (Py_ssize_t i = 0; i < count; i++) {
        int64_t this = (int64_t)(sorted[i] >> 32);
        position[i] = (int64_t)(sorted[i] & UINT32_MAX);
        if (!found || row[found - 1] != this) {
            row[found] = this;
            start[found++] = i;
        }
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

typedef struct {
    const float *values;
    const int64_t *source, *starts;
    float *out;
    Py_ssize_t size;
} sums_t;

FOR_EACH_CPU static void sum_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const sums_t *job = argument;
    Py_ssize_t size = job->size, end = job->starts[last];
    for (Py_ssize_t row = first; row < last; row++) {
        float *restrict out = job->out + row * size;
        Py_ssize_t start = job->starts[row], stop = job->starts[row + 1];
        if (start == stop) memset(out, 0, (size_t)size * sizeof(float));
        for (Py_ssize_t at = start; at < stop; at++) {
            const float *restrict value = job->values + job->source[at] * size;
            if (at + AHEAD < end) fetch(job->values + job->source[at + AHEAD] * size, size);
            if (at == start) {
                memcpy(out, value, (size_t)size * sizeof(float));
            } else {
                for (Py_ssize_t i = 0; i < size; i++) out[i] += value[i];
            }
        }
    }
}

/* sum_rows(values, source, starts, out, size, threads) -> None
 *
 * Writes to each row of `out` float32 (U, size) the sum of the rows of `values` float32 (M, size)
 * whose numbers are source[starts[u]:starts[u + 1]], in that order; zeros for none. */
static PyObject *sum_rows(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer values, source, starts, out;
    Py_ssize_t size, bad = 0;
    int threads;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*w*ni", &values, &source, &starts, &out, &size, &threads)) return NULL;
    Py_ssize_t bytes = size > 0 && size < PY_SSIZE_T_MAX / 4 ? size * 4 : 1;
    Py_ssize_t rows = out.len / bytes, count = source.len / 8, end = values.len / bytes;
    const int64_t *start = starts.buf;
    if (bytes == 1) {
        PyErr_SetString(PyExc_ValueError, "rows have no numbers");
        goto done;
    }
    if (!holds(&values, end, bytes, "values") || !holds(&out, rows, bytes, "out") ||
        !holds(&source, count, 8, "source") || !holds(&starts, rows + 1, 8, "starts"))
        goto done;
    if (!in_range(source.buf, count, end, &bad)) {
        out_of_range(source.buf, bad, end);
        goto done;
    }
    int rising = start[0] == 0 && start[rows] == count;
    for (Py_ssize_t i = 0; rising && i < rows; i++) rising = start[i] <= start[i + 1];
    if (!rising) {
        PyErr_SetString(PyExc_ValueError, "starts do not rise from 0 to the number of sources");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS;
    sums_t job = {values.buf, source.buf, start, out.buf, size};
    run(sum_range, &job, rows, start, threads_for(threads, (double)count * (double)size));
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&values);
    PyBuffer_Release(&source);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&out);
    return result;
}

/* ---------------------------------------------------------------- what a row is like */

#define LANES 8

typedef struct {
    const float *values;
    double *squares;
    Py_ssize_t size;
} squares_t;

/* Sums in LANES parts, always the same ones, so that it is fast and has one result. */
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
    Py_ssize_t rows = out.len / 8;
    if (size < 1 || size > PY_SSIZE_T_MAX / 4) {
        PyErr_SetString(PyExc_ValueError, "rows have no numbers");
        goto done;
    }
    if (!holds(&out, rows, 8, "out") || !holds(&values, rows, size * 4, "values")) goto done;
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

/* nonzero_rows(values, out, size) -> int
 *
 * Writes to `out` uint8 (U,) whether each row of `values` float32 (U, size) is other than zero, and
 * returns how many are. The first number of a row nearly always tells. */
static PyObject *nonzero_rows(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer values, out;
    Py_ssize_t size, count = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*w*n", &values, &out, &size)) return NULL;
    Py_ssize_t rows = out.len;
    if (size < 1 || size > PY_SSIZE_T_MAX / 4) {
        PyErr_SetString(PyExc_ValueError, "rows have no numbers");
        goto done;
    }
    if (!holds(&values, rows, size * 4, "values")) goto done;
    Py_BEGIN_ALLOW_THREADS;
    const float *value = values.buf;
    uint8_t *kept = out.buf;
    for (Py_ssize_t row = 0; row < rows; row++, value += size) {
        Py_ssize_t i = 0;
        while (i < size && value[i] == 0) i++;
        kept[row] = i < size;
        count += i < size;
    }
    Py_END_ALLOW_THREADS;
    result = PyLong_FromSsize_t(count);
done:
    PyBuffer_Release(&values);
    PyBuffer_Release(&out);
    return result;
}

/* ---------------------------------------------------------------- Adam */

/* find_slots(rows, index, slots, count) -> int
 *
 * Writes index[rows] to `slots` int64 (U,), `rows` int64 (U,) and `index` int32 (V,); a row without a
 * slot, that is with a negative one, gets the next one from `count` on, which is noted in the index.
 * Returns the new count. */
static PyObject *find_slots(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer rows, index, slots;
    Py_ssize_t count, bad = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*w*w*n", &rows, &index, &slots, &count)) return NULL;
    Py_ssize_t number = rows.len / 8, end = index.len / 4;
    const int64_t *row = rows.buf;
    int64_t *slot = slots.buf;
    int32_t *at = index.buf;
    if (!holds(&rows, number, 8, "rows") || !holds(&slots, number, 8, "slots") || !holds(&index, end, 4, "index"))
        goto done;
    if (!in_range(row, number, end, &bad)) {
        out_of_range(row, bad, end);
        goto done;
    }
    if (count < 0 || count > INT32_MAX - number) {
        PyErr_SetString(PyExc_ValueError, "slots are too many to be counted in 32 bits");
        goto done;
    }
    for (Py_ssize_t i = 0; i < number; i++) {
        if (at[row[i]] < 0) at[row[i]] = (int32_t)count++;
        slot[i] = at[row[i]];
    }
    result = PyLong_FromSsize_t(count);
done:
    PyBuffer_Release(&rows);
    PyBuffer_Release(&index);
    PyBuffer_Release(&slots);
    return result;
}

#define KNOWN 256 /* step counts whose corrections are kept at hand; most rows of a batch have few */

/* count_steps(steps, slots, beta1, beta2, lr, eps, rates, epsilons) -> None
 *
 * Adds 1 to `steps` int64 (S,) in the slots int64 (U,), and writes for each, with n the result and
 * c = sqrt(1 - beta2^n), the rate -lr c / (1 - beta1^n) and eps c, both float32 (U,). */
static PyObject *count_steps(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer steps, slots, rates, epsilons;
    double beta1, beta2, lr, eps;
    Py_ssize_t bad = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "w*y*ddddw*w*", &steps, &slots, &beta1, &beta2, &lr, &eps, &rates, &epsilons))
        return NULL;
    Py_ssize_t number = slots.len / 8, end = steps.len / 8;
    const int64_t *slot = slots.buf;
    int64_t *step = steps.buf;
    float *rate = rates.buf, *epsilon = epsilons.buf;
    if (!holds(&slots, number, 8, "slots") || !holds(&steps, end, 8, "steps") || !holds(&rates, number, 4, "rates") ||
        !holds(&epsilons, number, 4, "epsilons"))
        goto done;
    if (!in_range(slot, number, end, &bad)) {
        out_of_range(slot, bad, end);
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS;
    struct { int64_t n; float rate, eps; } known[KNOWN] = {0};
    for (Py_ssize_t i = 0; i < number; i++) {
        int64_t n = ++step[slot[i]];
        size_t at = (uint64_t)n % KNOWN;
        if (known[at].n != n) {
            double root = sqrt(1 - pow(beta2, (double)n));
            known[at].n = n;
            known[at].rate = (float)(-lr * root / (1 - pow(beta1, (double)n)));
            known[at].eps = (float)(eps * root);
        }
        rate[i] = known[at].rate;
        epsilon[i] = known[at].eps;
    }
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&steps);
    PyBuffer_Release(&slots);
    PyBuffer_Release(&rates);
    PyBuffer_Release(&epsilons);
    return result;
}

typedef struct {
    float *weight, *exp_avg, *exp_avg_sq; /* exp_avg_sq NULL: its root is in `rate` */
    const float *grad, *rate, *eps, *clip, *decay;
    const int64_t *rows, *slots;
    Py_ssize_t size;
    float beta1, rest1, beta2, rest2;
} adam_t;

/* Of one row: m <- lerp(m, g, 1 - beta1); v <- beta2 v + (1 - beta2) g^2; w <- w decay + m / (sqrt v + eps) rate. */
FOR_EACH_CPU static void adam_range(const void *argument, Py_ssize_t first, Py_ssize_t last) {
    const adam_t *job = argument;
    Py_ssize_t size = job->size;
    float beta1 = job->beta1, rest1 = job->rest1, beta2 = job->beta2, rest2 = job->rest2;
    for (Py_ssize_t row = first; row < last; row++) {
        if (row + AHEAD < last) {
            Py_ssize_t slot = job->slots[row + AHEAD];
            fetch(job->weight + job->rows[row + AHEAD] * size, size);
            fetch(job->exp_avg + slot * size, size);
            if (job->exp_avg_sq) fetch(job->exp_avg_sq + slot * size, size);
        }
        float *restrict w = job->weight + job->rows[row] * size;
        float *restrict m = job->exp_avg + job->slots[row] * size;
        const float *restrict grad = job->grad + row * size;
        float rate = job->rate[row], eps = job->eps[row];
        float clip = job->clip ? job->clip[row] : 1, decay = job->decay ? job->decay[row] : 1;
        if (job->exp_avg_sq) {
            float *restrict v = job->exp_avg_sq + job->slots[row] * size;
            for (Py_ssize_t i = 0; i < size; i++) {
                float g = grad[i] * clip, difference = g - m[i];
                m[i] = rest1 < 0.5f ? m[i] + rest1 * difference : g - difference * beta1;
                v[i] = v[i] * beta2 + rest2 * g * g;
                w[i] = w[i] * decay + m[i] / (sqrtf(v[i]) + eps) * rate;
            }
        } else {
            for (Py_ssize_t i = 0; i < size; i++) {
                float g = grad[i] * clip, difference = g - m[i];
                m[i] = rest1 < 0.5f ? m[i] + rest1 * difference : g - difference * beta1;
                w[i] = w[i] * decay + m[i] * rate;
            }
        }
    }
}

/* adam(weight, rows, grad, exp_avg, exp_avg_sq | None, slots, rate, eps, clip | None, decay | None,
 *      beta1, beta2, size, threads) -> None
 *
 * Updates the rows `rows` int64 (U,), ascending, of `weight` float32 (V, size), and the moments
 * (S, size) in the slots `slots` int64 (U,), by the gradients `grad` (U, size). `rate`, `eps`,
 * `clip` and `decay` are float32 (U,). Without `exp_avg_sq` the root is taken as part of `rate`. */
static PyObject *adam(PyObject *self, PyObject *args) {
    (void)self;
    enum { WEIGHT, ROWS, GRAD, FIRST, SECOND, SLOTS, RATE, EPS, CLIP, DECAY, BUFFERS };
    static const char *names[] = {"weight", "rows", "grad", "exp_avg", "exp_avg_sq",
                                  "slots",  "rate", "eps",  "clip",    "decay"};
    Py_buffer b[BUFFERS];
    memset(b, 0, sizeof b);
    Py_ssize_t size, bad = 0;
    double beta1, beta2;
    int threads;
    PyObject *result = NULL;
    PyObject *objects[BUFFERS];
    if (!PyArg_ParseTuple(args, "OOOOOOOOOOddni", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4],
                          &objects[5], &objects[6], &objects[7], &objects[8], &objects[9], &beta1, &beta2, &size,
                          &threads))
        return NULL;
    for (int i = 0; i < BUFFERS; i++) {
        int optional = i == SECOND || i == CLIP || i == DECAY;
        int written = i == WEIGHT || i == FIRST || i == SECOND;
        if (optional && objects[i] == Py_None) continue;
        if (PyObject_GetBuffer(objects[i], &b[i], written ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0) goto done;
    }
    if (size < 1 || size > PY_SSIZE_T_MAX / 4) {
        PyErr_SetString(PyExc_ValueError, "rows have no numbers");
        goto done;
    }
    Py_ssize_t rows = b[ROWS].len / 8, table = b[WEIGHT].len / (size * 4), slots = b[FIRST].len / (size * 4);
    const Py_ssize_t counts[] = {table, rows, rows, slots, slots, rows, rows, rows, rows, rows};
    for (int i = 0; i < BUFFERS; i++) {
        Py_ssize_t item = i == ROWS || i == SLOTS ? 8 : i == WEIGHT || i == GRAD || i == FIRST || i == SECOND ? size * 4 : 4;
        if (b[i].obj && !holds(&b[i], counts[i], item, names[i])) goto done;
    }
    const int64_t *row = b[ROWS].buf;
    if (!in_range(row, rows, table, &bad)) {
        out_of_range(row, bad, table);
        goto done;
    }
    if (!in_range(b[SLOTS].buf, rows, slots, &bad)) {
        out_of_range(b[SLOTS].buf, bad, slots);
        goto done;
    }
    for (Py_ssize_t i = 1; i < rows; i++) {
        if (row[i - 1] >= row[i]) {
            PyErr_SetString(PyExc_ValueError, "rows do not rise");
            goto done;
        }
    }
    Py_BEGIN_ALLOW_THREADS;
    adam_t job = {b[WEIGHT].buf, b[FIRST].buf, b[SECOND].obj ? b[SECOND].buf : NULL,
                  b[GRAD].buf,   b[RATE].buf,  b[EPS].buf,
                  b[CLIP].obj ? b[CLIP].buf : NULL, b[DECAY].obj ? b[DECAY].buf : NULL,
                  row,           b[SLOTS].buf, size,
                  (float)beta1,  (float)(1 - beta1), (float)beta2, (float)(1 - beta2)};
    run(adam_range, &job, rows, NULL, threads_for(threads, (double)rows * (double)size));
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
done:
    for (int i = 0; i < BUFFERS; i++)
        if (b[i].obj) PyBuffer_Release(&b[i]);
    return result;
}

static PyMethodDef methods[] = {
    {"group", group, METH_VARARGS, "group(ids, end, lengths, rows, order, starts) -> int"},
    {"increasing", increasing, METH_VARARGS, "increasing(ids, end) -> bool"},
    {"sum_rows", sum_rows, METH_VARARGS, "sum_rows(values, source, starts, out, size, threads)"},
    {"squares", squares, METH_VARARGS, "squares(values, out, size, threads)"},
    {"nonzero_rows", nonzero_rows, METH_VARARGS, "nonzero_rows(values, out, size) -> int"},
    {"find_slots", find_slots, METH_VARARGS, "find_slots(rows, index, slots, count) -> int"},
    {"count_steps", count_steps, METH_VARARGS, "count_steps(steps, slots, beta1, beta2, lr, eps, ...)"},
    {"adam", adam, METH_VARARGS, "adam(weight, rows, grad, exp_avg, exp_avg_sq, slots, ...)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_rows", "Inner loops of an optimizer step by rows.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__rows(void) {
#ifdef THREADS
    void *found = dlsym(RTLD_DEFAULT, "GOMP_parallel"); /* LLVM's and Intel's OpenMP have it too */
    memcpy(&openmp, &found, sizeof openmp);
    pthread_atfork(NULL, NULL, forget_openmp);
#endif
    return PyModuleDef_Init(&module);
}
