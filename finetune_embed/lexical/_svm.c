/* A linear support vector machine by coordinate descent in the dual.
 *
 * `svm.py` has a slower counterpart in numpy that finds the same minimum. The function takes buffers,
 * releases the interpreter lock while it works, and never reads or writes outside of the given
 * lengths: rows and columns are checked.
 *
 * Multiplications and additions are not fused, so results don't depend on the processor (see the
 * compiler's arguments in pyproject.toml).
 */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define MOST_TEXTS (PY_SSIZE_T_MAX / 32)

/* Texts, with a constant feature of 1 that no row has among its columns, and what a machine learns from them. */
typedef struct {
    const int64_t *columns, *starts;
    const float *values;
    const unsigned char *positive;
    double *weight, *bias, *alpha, *square; /* of each text: its multiplier, and the square of its length */
    int64_t *order;                         /* in which texts are visited */
    Py_ssize_t texts;
    double slack[2]; /* of negative and of positive texts: one over twice the cost */
} problem_t;

/* Returns whether the texts are rows of a matrix with so many features, and computes their squares. */
static int measure(const problem_t *p, Py_ssize_t entries, Py_ssize_t features) {
    if (p->starts[0] != 0 || p->starts[p->texts] != entries) return 0;
    for (Py_ssize_t row = 0; row < p->texts; row++)
        if (p->starts[row] > p->starts[row + 1]) return 0;
    for (Py_ssize_t row = 0; row < p->texts; row++) {
        double square = 1;
        for (int64_t i = p->starts[row]; i < p->starts[row + 1]; i++) {
            if (p->columns[i] < 0 || p->columns[i] >= features) return 0;
            square += (double)p->values[i] * p->values[i];
        }
        p->square[row] = square;
    }
    return 1;
}

/* Returns the next random number of splitmix64. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void swap(int64_t *order, Py_ssize_t one, Py_ssize_t other) {
    int64_t row = order[one];
    order[one] = order[other];
    order[other] = row;
}

/* Returns the gradient of the dual along the multiplier of a text. */
static double gradient_at(const problem_t *p, int64_t row) {
    double sum = *p->bias, next = 0;
    int64_t i = p->starts[row], end = p->starts[row + 1];
    for (; i + 1 < end; i += 2) { /* two sums, which the processor computes side by side */
        sum += p->values[i] * p->weight[p->columns[i]];
        next += p->values[i + 1] * p->weight[p->columns[i + 1]];
    }
    if (i < end) sum += p->values[i] * p->weight[p->columns[i]];
    sum += next;
    return (p->positive[row] ? sum : -sum) - 1 + p->slack[p->positive[row] != 0] * p->alpha[row];
}

/* Moves the multiplier of a text to where the dual is least, and the weights with it. */
static void move(const problem_t *p, int64_t row, double gradient) {
    double slack = p->slack[p->positive[row] != 0], next = p->alpha[row] - gradient / (p->square[row] + slack);
    if (next < 0) next = 0;
    double step = p->positive[row] ? next - p->alpha[row] : p->alpha[row] - next;
    p->alpha[row] = next;
    *p->bias += step;
    for (int64_t i = p->starts[row]; i < p->starts[row + 1]; i++) p->weight[p->columns[i]] += step * p->values[i];
}

/* Minimises the dual until projected gradients differ by the tolerance at most; returns the passes. Texts whose
 * multiplier stays 0 are left out, until the others are done: algorithm 3 of the paper. */
static int minimise(const problem_t *p, uint64_t seed, double tolerance, int passes) {
    Py_ssize_t active = p->texts;
    double limit = INFINITY;
    for (Py_ssize_t row = 0; row < p->texts; row++) p->order[row] = row;
    for (int pass = 1; pass <= passes; pass++) {
        double highest = -INFINITY, lowest = INFINITY;
        for (Py_ssize_t i = active - 1; i > 0; i--)
            swap(p->order, i, (Py_ssize_t)(next_random(&seed) % (uint64_t)(i + 1)));
        for (Py_ssize_t i = 0; i < active;) {
            int64_t row = p->order[i];
            double gradient = gradient_at(p, row);
            if (p->alpha[row] == 0 && gradient > limit) {
                swap(p->order, i, --active);
                continue;
            }
            double projected = p->alpha[row] > 0 || gradient < 0 ? gradient : 0;
            highest = projected > highest ? projected : highest;
            lowest = projected < lowest ? projected : lowest;
            if (projected != 0) move(p, row, gradient);
            i++;
        }
        limit = highest > 0 ? highest : INFINITY;
        if (!(highest - lowest > tolerance)) {
            if (active == p->texts) return pass;
            active = p->texts;
            limit = INFINITY;
        }
    }
    return passes;
}

/* Returns whether a buffer holds `count` numbers of `size` bytes; sets the error if not. */
static int holds(const Py_buffer *buffer, Py_ssize_t count, Py_ssize_t size, const char *name) {
    if (buffer->len != count * size)
        PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd x %zd", name, buffer->len, count, size);
    else if ((uintptr_t)buffer->buf % (size_t)size)
        PyErr_Format(PyExc_ValueError, "%s does not begin at a multiple of %zd bytes", name, size);
    else
        return 1;
    return 0;
}

/* fit(columns, values, starts, positive, negative_cost, positive_cost, seed, tolerance, passes, weight) -> int
 *
 * columns int64 (N,) and values float32 (N,) of the rows that begin at starts int64 (B + 1,), and whether each is
 * positive, bool (B,). Writes the weights and, last, the bias to `weight` float64 (F + 1,). Returns the number of
 * passes over the texts, at most `passes`. */
static PyObject *fit(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer columns, values, starts, positive, weight;
    double costs[2], tolerance;
    unsigned long long seed;
    int passes, fits = 0;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*y*ddKdiw*", &columns, &values, &starts, &positive, &costs[0], &costs[1], &seed,
                          &tolerance, &passes, &weight))
        return NULL;
    Py_ssize_t entries = columns.len / 8, texts = positive.len, features = weight.len / 8 - 1;
    if (features < 0 || texts > MOST_TEXTS || !(costs[0] > 0) || !(costs[1] > 0)) {
        PyErr_SetString(PyExc_ValueError, "there is no bias, or a cost is not above 0");
        goto done;
    }
    if (!holds(&columns, entries, 8, "columns") || !holds(&values, entries, 4, "values") ||
        !holds(&starts, texts + 1, 8, "starts") || !holds(&weight, features + 1, 8, "weight"))
        goto done;
    double *numbers = malloc((size_t)(texts ? texts : 1) * 3 * sizeof(double));
    if (!numbers) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS;
    double *out = weight.buf;
    problem_t problem = {
        .columns = columns.buf,
        .starts = starts.buf,
        .values = values.buf,
        .positive = positive.buf,
        .weight = out,
        .bias = out + features,
        .alpha = numbers,
        .square = numbers + texts,
        .order = (int64_t *)(numbers + 2 * texts),
        .texts = texts,
        .slack = {0.5 / costs[0], 0.5 / costs[1]},
    };
    fits = measure(&problem, entries, features);
    if (fits) {
        for (Py_ssize_t i = 0; i <= features; i++) out[i] = 0;
        for (Py_ssize_t i = 0; i < texts; i++) problem.alpha[i] = 0;
        passes = minimise(&problem, seed, tolerance, passes);
    }
    Py_END_ALLOW_THREADS;
    free(numbers);
    if (fits)
        result = PyLong_FromLong(passes);
    else
        PyErr_SetString(PyExc_ValueError, "starts and columns are not those of a matrix of this size");
done:
    PyBuffer_Release(&columns);
    PyBuffer_Release(&values);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&positive);
    PyBuffer_Release(&weight);
    return result;
}

static PyMethodDef methods[] = {
    {"fit", fit, METH_VARARGS, "fit(columns, values, starts, positive, weight, ...) -> int"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_svm", "Linear support vector machines.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__svm(void) { return PyModuleDef_Init(&module); }
