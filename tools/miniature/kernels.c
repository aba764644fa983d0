#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float up(bf16 v) {
    uint32_t u = (uint32_t)v << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline bf16 down(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return (bf16)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

// e^x to about 1e-6, without a branch or a call, so that loops over it become vector instructions
static inline float fast_exp(float x) {
    float t = fmaxf(fminf(x * 1.44269504f, 126.0f), -126.0f);
    float whole = rintf(t), f = t - whole;
    float power =
        1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961813f + f * 0.00133336f))));
    int32_t bits = ((int32_t)whole + 127) * (1 << 23);
    float scale;
    memcpy(&scale, &bits, 4);
    return power * scale;
}

#define MAXC 1024

void group_norm(const bf16 *x, const float *shift, const float *w, const float *b, bf16 *y, float *mean, float *rstd,
                long B, long P, long C, long G, float eps, int act) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < B; n++) {
        float s[MAXC], q[MAXC], add[MAXC];
        const bf16 *xn = x + n * P * C;
        bf16 *yn = y + n * P * C;
        for (long c = 0; c < C; c++) {
            s[c] = 0, q[c] = 0, add[c] = shift ? shift[n * C + c] : 0;
        }
        for (long p = 0; p < P; p++)
            for (long c = 0; c < C; c++) {
                float v = up(xn[p * C + c]) + add[c];
                s[c] += v, q[c] += v * v;
            }
        long width = C / G;
        float count = (float)(P * width);
        for (long g = 0; g < G; g++) {
            float total = 0, square = 0;
            for (long c = g * width; c < (g + 1) * width; c++) total += s[c], square += q[c];
            float m = total / count, var = square / count - m * m;
            float r = 1.0f / sqrtf((var > 0 ? var : 0) + eps);
            mean[n * G + g] = m, rstd[n * G + g] = r;
            for (long c = g * width; c < (g + 1) * width; c++) {
                q[c] = r * w[c];
                s[c] = b[c] + (add[c] - m) * q[c];
            }
        }
        if (act)
            for (long p = 0; p < P; p++)
                for (long c = 0; c < C; c++) {
                    float z = up(xn[p * C + c]) * q[c] + s[c];
                    yn[p * C + c] = down(z / (1.0f + fast_exp(-z)));
                }
        else
            for (long p = 0; p < P; p++)
                for (long c = 0; c < C; c++) yn[p * C + c] = down(up(xn[p * C + c]) * q[c] + s[c]);
    }
}

void group_norm_back(const bf16 *x, const float *shift, const bf16 *dy, const float *w, const float *b,
                     const float *mean, const float *rstd, bf16 *dx, float *dw, float *db, float *dshift, long B,
                     long P, long C, long G, int act) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < B; n++) {
        float s[MAXC], q[MAXC], add[MAXC], a[MAXC], ax[MAXC], sx[MAXC], wide[MAXC];
        const bf16 *xn = x + n * P * C, *dn = dy + n * P * C;
        bf16 *on = dx + n * P * C;
        long width = C / G;
        for (long c = 0; c < C; c++) {
            float m = mean[n * G + c / width], r = rstd[n * G + c / width];
            add[c] = shift ? shift[n * C + c] : 0;
            wide[c] = r;
            q[c] = r;
            s[c] = (add[c] - m) * r;
            a[c] = 0, ax[c] = 0, sx[c] = 0;
        }
        for (long p = 0; p < P; p++)
            for (long c = 0; c < C; c++) {
                float h = up(xn[p * C + c]) * q[c] + s[c];
                float d = up(dn[p * C + c]);
                if (act) {
                    float z = h * w[c] + b[c];
                    float g = 1.0f / (1.0f + fast_exp(-z));
                    d = d * g * (1.0f + z * (1.0f - g));
                }
                on[p * C + c] = down(d);
                a[c] += d, ax[c] += d * h, sx[c] += h;
            }
        float count = (float)(P * width);
        for (long g = 0; g < G; g++) {
            float k0 = 0, k1 = 0;
            for (long c = g * width; c < (g + 1) * width; c++) k0 += w[c] * a[c], k1 += w[c] * ax[c];
            k0 /= count, k1 /= count;
            for (long c = g * width; c < (g + 1) * width; c++) {
                float r = wide[c];
                dw[n * C + c] = ax[c], db[n * C + c] = a[c];
                if (dshift) dshift[n * C + c] = r * (w[c] * a[c] - P * k0 - sx[c] * k1);
                // dx = r * (w d - k0 - (x q + s) k1)
                a[c] = r * w[c];
                ax[c] = -r * k1 * q[c];
                sx[c] = -r * (k0 + k1 * s[c]);
            }
        }
        for (long p = 0; p < P; p++)
            for (long c = 0; c < C; c++)
                on[p * C + c] = down(a[c] * up(on[p * C + c]) + ax[c] * up(xn[p * C + c]) + sx[c]);
    }
}

static inline float normal_cdf(float v) {
    // Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7
    float x = fabsf(v) * 0.70710678f;
    float t = 1.0f / (1.0f + 0.3275911f * x);
    float poly = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    float half = 0.5f * poly * fast_exp(-x * x);
    return v < 0 ? half : 1.0f - half;
}

void geglu(const bf16 *x, bf16 *y, long N, long D) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++)
        for (long d = 0; d < D; d++) {
            float g = up(x[n * 2 * D + D + d]);
            y[n * D + d] = down(up(x[n * 2 * D + d]) * g * normal_cdf(g));
        }
}

void geglu_back(const bf16 *x, const bf16 *dy, bf16 *dx, long N, long D) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++)
        for (long d = 0; d < D; d++) {
            float a = up(x[n * 2 * D + d]), g = up(x[n * 2 * D + D + d]), dd = up(dy[n * D + d]);
            float cdf = normal_cdf(g);
            float pdf = 0.39894228f * fast_exp(-0.5f * g * g);
            dx[n * 2 * D + d] = down(dd * g * cdf);
            dx[n * 2 * D + D + d] = down(dd * a * (cdf + g * pdf));
        }
}

// rows of T numbers; causal: row n reads its first n % T + 1 only, and the rest of it becomes 0
void softmax(const bf16 *x, bf16 *y, long N, long T, long causal, float scale) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++) {
        float e[4096];
        const bf16 *xn = x + n * T;
        bf16 *yn = y + n * T;
        float top = -3e38f, sum = 0;
        long read = causal ? n % T + 1 : T;
        for (long t = 0; t < read; t++) {
            float v = up(xn[t]);
            top = v > top ? v : top;
        }
        for (long t = 0; t < read; t++) {
            e[t] = fast_exp((up(xn[t]) - top) * scale);
            sum += e[t];
        }
        sum = 1.0f / sum;
        for (long t = 0; t < read; t++) yn[t] = down(e[t] * sum);
        for (long t = read; t < T; t++) yn[t] = 0;
    }
}

void softmax_back(const bf16 *y, const bf16 *dy, bf16 *dx, long N, long T, float scale) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++) {
        const bf16 *yn = y + n * T, *dn = dy + n * T;
        bf16 *on = dx + n * T;
        float dot = 0;
        for (long t = 0; t < T; t++) dot += up(yn[t]) * up(dn[t]);
        for (long t = 0; t < T; t++) on[t] = down(up(yn[t]) * (up(dn[t]) - dot) * scale);
    }
}

void layer_norm(const bf16 *x, const float *w, const float *b, bf16 *y, float *mean, float *rstd, long N, long C,
                float eps) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++) {
        const bf16 *xn = x + n * C;
        bf16 *yn = y + n * C;
        float s = 0, q = 0;
        for (long c = 0; c < C; c++) {
            float v = up(xn[c]);
            s += v, q += v * v;
        }
        float m = s / C, var = q / C - m * m;
        float r = 1.0f / sqrtf((var > 0 ? var : 0) + eps);
        mean[n] = m, rstd[n] = r;
        for (long c = 0; c < C; c++) yn[c] = down((up(xn[c]) - m) * r * w[c] + b[c]);
    }
}

// dw, db: [K, C] partial sums, K stretches of rows
void layer_norm_back(const bf16 *x, const bf16 *dy, const float *w, const float *mean, const float *rstd, bf16 *dx,
                     float *dw, float *db, long N, long C, long K) {
#pragma omp parallel for schedule(static)
    for (long k = 0; k < K; k++) {
        float *dwk = dw + k * C, *dbk = db + k * C;
        for (long c = 0; c < C; c++) dwk[c] = 0, dbk[c] = 0;
        for (long n = N * k / K; n < N * (k + 1) / K; n++) {
            const bf16 *xn = x + n * C, *dn = dy + n * C;
            float m = mean[n], r = rstd[n], k0 = 0, k1 = 0;
            for (long c = 0; c < C; c++) {
                float h = (up(xn[c]) - m) * r, d = up(dn[c]);
                dwk[c] += d * h, dbk[c] += d;
                k0 += d * w[c], k1 += d * w[c] * h;
            }
            k0 /= C, k1 /= C;
            for (long c = 0; c < C; c++) {
                float h = (up(xn[c]) - m) * r;
                dx[n * C + c] = down(r * (up(dn[c]) * w[c] - k0 - h * k1));
            }
        }
    }
}

// one step of AdamW on n weights; `bias1`, `bias2`: 1 - beta^step; `decay`: rate times weight decay
void adamw(float *p, float *m, float *v, float *ema, const float *g, bf16 *out, long n, float rate, float beta1,
           float beta2, float eps, float bias1, float bias2, float decay, float clip, float take) {
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < n; i++) {
        float d = g[i] * clip;
        float mi = m[i] + (d - m[i]) * (1 - beta1);
        float vi = v[i] + (d * d - v[i]) * (1 - beta2);
        float pi = p[i] * (1 - decay) - rate * (mi / bias1) / (sqrtf(vi / bias2) + eps);
        m[i] = mi, v[i] = vi, p[i] = pi;
        ema[i] += (pi - ema[i]) * take;
        out[i] = down(pi);
    }
}
