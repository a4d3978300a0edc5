/* The peer in C: blocks of 64 particles, the lane loop innermost and without branches.
 *
 * Compile with -DQUARTIC, -DBEALE or -DROSENBROCK10, and -DASCENT and -DMOMENTUM as wanted.
 */
#include <math.h>
#include <string.h>

#define LANES 64

#if defined(QUARTIC)
#define D 2
static inline void gradient(const double *w, double *g) {
    double x = w[0], y = w[1];
    g[0] = x;
    g[1] = y * y * y - y;
}
#elif defined(BEALE)
#define D 2
static inline void gradient(const double *w, double *g) {
    double x = w[0], y = w[1], y2 = y * y, y3 = y2 * y;
    double a = 1.5 - x + x * y, b = 2.25 - x + x * y2, c = 2.625 - x + x * y3;
    g[0] = 2.0 * (a * (y - 1.0) + b * (y2 - 1.0) + c * (y3 - 1.0));
    g[1] = 2.0 * x * (a + 2.0 * b * y + 3.0 * c * y2);
}
#elif defined(ROSENBROCK10)
#define D 10
static inline void gradient(const double *w, double *g) {
    double last = 0.0;
#pragma GCC unroll 16
    for (int j = 0; j < D - 1; j++) {
        double above = w[j + 1] - w[j] * w[j];
        g[j] = 2.0 * (w[j] - 1.0) - 400.0 * w[j] * above + last;
        last = 200.0 * above;
    }
    g[D - 1] = last;
}
#endif

/* w, v: [blocks][D][LANES]; lr, rho, taken: [blocks][LANES]; the number of steps taken is the
 * state of a lane that has stopped, so that a lane moves while taken equals the step. */
void advance(long blocks, long steps, double radius, double momentum, double *w_all,
             double *v_all, const double *lr_all, const double *rho_all, double *taken_all) {
    const double limit = radius * radius;
    for (long block = 0; block < blocks; block++) {
        /* arrays of this function cannot overlap, which the compiler need not then prove */
        _Alignas(64) double w[D][LANES], v[D][LANES], lr[LANES], rho[LANES], taken[LANES];
        memcpy(w, w_all + block * D * LANES, sizeof w);
        memcpy(v, v_all + block * D * LANES, sizeof v);
        memcpy(lr, lr_all + block * LANES, sizeof lr);
        memcpy(rho, rho_all + block * LANES, sizeof rho);
        memset(taken, 0, sizeof taken);
        for (long t = 0; t < steps; t++) {
            const double now = (double)t;
            for (int i = 0; i < LANES; i++) {
                double a[D], g[D], length = 0.0;
#pragma GCC unroll 16
                for (int j = 0; j < D; j++) {
                    a[j] = w[j][i];
                    length += a[j] * a[j];
                }
                const int moves = (taken[i] == now) & (length <= limit);
                gradient(a, g);
#ifdef ASCENT
                double size = 0.0, up[D];
#pragma GCC unroll 16
                for (int j = 0; j < D; j++) size += g[j] * g[j];
                size = sqrt(size);
                const double scale = rho[i] / (size > 0.0 ? size : 1.0);
#pragma GCC unroll 16
                for (int j = 0; j < D; j++) up[j] = a[j] + scale * g[j];
                gradient(up, g);
#endif
#pragma GCC unroll 16
                for (int j = 0; j < D; j++) {
#ifdef MOMENTUM
                    g[j] = momentum * v[j][i] + g[j];
                    v[j][i] = moves ? g[j] : v[j][i];
#endif
                    w[j][i] = moves ? a[j] - lr[i] * g[j] : a[j];
                }
                taken[i] += moves ? 1.0 : 0.0;
            }
            if (t % 16 == 15) {
                int running = 0;
                for (int i = 0; i < LANES; i++) running += taken[i] > now;
                if (running == 0) break;
            }
        }
        memcpy(w_all + block * D * LANES, w, sizeof w);
        memcpy(v_all + block * D * LANES, v, sizeof v);
        memcpy(taken_all + block * LANES, taken, sizeof taken);
    }
}
