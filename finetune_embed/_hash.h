/* A hash of bytes with a secret key, so that nobody can write a file whose words all collide.
 *
 * The bytes are the coefficients of a polynomial modulo 2^61 - 1, evaluated at a random point: two
 * words of n bytes collide for at most about n of the 2^31 points. The key is drawn once for each
 * process, and nothing that the modules return depends on it.
 */
#ifndef FINETUNE_EMBED_HASH_H
#define FINETUNE_EMBED_HASH_H

#include <Python.h>

#include <stdint.h>
#include <string.h>

static uint64_t hash_start, hash_point; /* the point is 0 until the key is drawn */

/* Draws the key, unless it was drawn before: hashes outlive a module that is imported again. */
static int draw_hash_key(void) {
    if (hash_point) return 0;
    PyObject *os = PyImport_ImportModule("os");
    PyObject *random = os ? PyObject_CallMethod(os, "urandom", "i", 12) : NULL;
    char *bytes = random ? PyBytes_AsString(random) : NULL;
    if (bytes) {
        uint32_t point;
        memcpy(&hash_start, bytes, 8);
        memcpy(&point, bytes + 8, 4);
        hash_start >>= 3;
        hash_point = point | 0x80000000u;
    }
    Py_XDECREF(random);
    Py_XDECREF(os);
    return bytes ? 0 : -1;
}

/* Bytes are hashed four at a time, then the last one to three: begin, step for each, end. */
static inline uint64_t hash_begin(size_t size) { return hash_start + size; }

/* hash * point + next, modulo 2^61 - 1; the result is below 2^63, as `hash` may be. */
static inline uint64_t hash_step(uint64_t hash, uint64_t point, uint32_t next) {
    const uint64_t prime = ((uint64_t)1 << 61) - 1;
    uint64_t low = (hash & 0xffffffff) * point, high = (hash >> 32) * point;
    return (low & prime) + (low >> 61) + ((high & 0x1fffffff) << 32) + (high >> 29) + next;
}

/* Spreads what is left of patterns over the low bits, which choose a slot. */
static inline uint64_t hash_end(uint64_t hash) {
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static inline uint32_t four_bytes(const uint8_t *at) {
    uint32_t four;
    memcpy(&four, at, 4);
    return four;
}

/* One to three bytes; some of them twice. */
static inline uint32_t last_bytes(const uint8_t *at, size_t size) {
    return at[0] | (uint32_t)at[size / 2] << 8 | (uint32_t)at[size - 1] << 16;
}

static inline uint64_t hash_bytes(const uint8_t *at, size_t size) {
    uint64_t hash = hash_begin(size), point = hash_point;
    for (; size >= 4; at += 4, size -= 4) hash = hash_step(hash, point, four_bytes(at));
    return hash_end(size ? hash_step(hash, point, last_bytes(at, size)) : hash);
}

#endif
