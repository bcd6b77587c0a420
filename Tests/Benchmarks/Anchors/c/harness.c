#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct plan plan = {.threads = 1, .ms = 150, .writer = WRITER_NONE, .layout = LAYOUT_ADJACENT};
_Alignas(LINE) atomic_int phase = PHASE_WARM;

static const struct subject *subject;
static pthread_barrier_t ready;
static cpu_set_t allowed;

void *checked(void *allocation) {
    if (allocation == NULL) {
        fputs("out of memory\n", stderr);
        exit(71);
    }
    return allocation;
}

void sleep_ms(unsigned ms) {
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

/* ---- histogram ---- */

static unsigned bucket_of(uint64_t value) {
    if (value < 16) return (unsigned)value;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(value);
    return (exponent - 3) * 16 + ((value >> (exponent - 4)) & 15);
}

/* The first value beyond the bucket. */
static double bucket_end(unsigned bucket) {
    unsigned next = bucket + 1;
    if (next < 32) return next;
    return (double)(16 + next % 16) * (double)(1ull << (next / 16 - 1));
}

void histogram_add(struct histogram *histogram, uint64_t picoseconds) {
    histogram->counts[bucket_of(picoseconds)]++;
    histogram->total++;
}

static void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (unsigned i = 0; i < BUCKETS; i++) into->counts[i] += from->counts[i];
    into->total += from->total;
}

double histogram_percentile(const struct histogram *histogram, double share) {
    uint64_t seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= share * (double)histogram->total) return bucket_end(i) / 1000;
    }
    return 0;
}

static void print_histogram(FILE *out, const struct histogram *histogram) {
    const char *separator = "";
    fputc('[', out);
    for (unsigned i = 0; i < BUCKETS; i++) {
        if (histogram->counts[i] == 0) continue;
        fprintf(out, "%s[%.3f, %llu]", separator, bucket_end(i) / 1000, (unsigned long long)histogram->counts[i]);
        separator = ", ";
    }
    fputc(']', out);
}

/* ---- threads ---- */

/* Waits for the others, and says how many operations make a batch. */
unsigned worker_ready(struct worker *worker, unsigned batch) {
    worker->until_sample = 1;
    if (plan.count) return plan.count;
    pthread_barrier_wait(&ready);
    worker->start = now_ns();
    return batch;
}

/* The clock is read when the thread itself sees the phase change. What was done in the warm-up is forgotten, unless
   the thread was stuck beyond its end. */
bool worker_phase(struct worker *worker, int seen) {
    if (plan.count) return worker->ops == 0;
    uint64_t now = now_ns();
    worker->phase = seen;
    if (seen == PHASE_STOP) {
        worker->ns = now - worker->start;
        return false;
    }
    worker->start = now;
    worker->until_sample = 1;
    worker->ops = 0;
    memset(&worker->samples, 0, sizeof worker->samples);
    memset(&worker->singles, 0, sizeof worker->singles);
    return true;
}

static void pin(unsigned nth) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth-- != 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

static void *thread_main(void *argument) {
    struct worker *worker = argument;
    if (worker->index < plan.pinned) pin(worker->index);
    worker->x = 88172645463325252u + worker->index;
    (worker->measures ? subject->measured : subject->other)(worker);
    worker->sum += worker->x;
    return NULL;
}

/* All measured threads and busy writers have a cpu of their own, or nothing is pinned. */
static void choose_pins(void) {
    sched_getaffinity(0, sizeof allowed, &allowed);
    bool others_are_busy = plan.others > 0 && plan.writer == WRITER_FLAT;
    unsigned busy = plan.measured + (others_are_busy ? plan.others : 0);
    plan.pinned = busy <= (unsigned)CPU_COUNT(&allowed) ? busy : 0;
}

/* On this thread, and nothing else runs: what two such calls differ by is due to the operations. */
static void run_counted(struct worker *worker) {
    worker->measures = true;
    worker->phase = -1; /* so that each look at the phase asks worker_phase */
    subject->measured(worker);
}

static void run(struct worker *workers) {
    pthread_t threads[2 * MOST_THREADS];
    unsigned count = plan.measured + plan.others;
    pthread_barrier_init(&ready, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        workers[i].index = i;
        workers[i].measures = i < plan.measured;
        int error = pthread_create(&threads[i], NULL, thread_main, &workers[i]);
        if (error != 0) {
            fprintf(stderr, "thread %u: %s\n", i, strerror(error));
            exit(71);
        }
    }
    pthread_barrier_wait(&ready);
    sleep_ms(plan.ms / 10);
    atomic_store_explicit(&phase, PHASE_MEASURE, memory_order_release);
    sleep_ms(plan.ms);
    atomic_store_explicit(&phase, PHASE_STOP, memory_order_release);
    for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&ready);
}

static void report(const struct worker *workers) {
    static struct histogram merged;
    uint64_t ns = 0, ops = 0, least = UINT64_MAX, most = 0, sum = 0;
    for (unsigned i = 0; i < plan.measured + plan.others; i++) {
        const struct worker *worker = &workers[i];
        sum += worker->sum;
        if (!worker->measures) continue;
        ns += worker->ns;
        ops += worker->ops;
        least = worker->ops < least ? worker->ops : least;
        most = worker->ops > most ? worker->ops : most;
        histogram_merge(&merged, &worker->samples);
    }
    printf("{\"case\": \"%s\", \"subject\": \"%s\", \"threads\": %u, \"ns\": %.4f, \"ops\": %llu, ", subject->case_name,
           subject->name, plan.threads, ops ? (double)ns / (double)ops : 0, (unsigned long long)ops);
    printf("\"p50_ns\": %.3f, \"p99_ns\": %.3f, \"p999_ns\": %.3f, ", histogram_percentile(&merged, .5),
           histogram_percentile(&merged, .99), histogram_percentile(&merged, .999));
    printf("\"least\": %llu, \"most\": %llu, \"checksum\": %llu", (unsigned long long)least, (unsigned long long)most,
           (unsigned long long)sum);
    if (subject->extra) subject->extra(stdout, workers, workers + plan.measured);
    puts("}");
}

/* Of a reader-writer lock under a writer: the writer's waits and the readers' single latencies. */
void extra_writes(FILE *out, const struct worker *measured, const struct worker *others) {
    static struct histogram merged;
    if (plan.others == 0) return;
    for (unsigned i = 0; i < plan.measured; i++) histogram_merge(&merged, &measured[i].singles);
    fprintf(out, ", \"extra\": {\"writes\": %llu, \"write_wait_p50_ns\": %.3f, \"write_wait_p99_ns\": %.3f, ",
            (unsigned long long)others->ops, histogram_percentile(&others->samples, .5),
            histogram_percentile(&others->samples, .99));
    fputs("\"histogram\": ", out);
    print_histogram(out, &merged);
    fputc('}', out);
}

/* ---- arguments ---- */

static void usage(const char *what, const char *which) {
    fprintf(stderr, "anchor-c: %s: %s\nusage: anchor-c --list | CASE SUBJECT [key=value]...\n", what, which);
    exit(64);
}

static unsigned number(const char *pair, const char *text, unsigned least, unsigned most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || value < least || value > most) usage("no such value", pair);
    return (unsigned)value;
}

static bool named(const char *pair, const char *key, const char **value) {
    size_t length = strlen(key);
    if (strncmp(pair, key, length) != 0 || pair[length] != '=') return false;
    *value = pair + length + 1;
    return true;
}

static void parse(const char *pair) {
    const char *value;
    if (named(pair, "threads", &value)) plan.threads = number(pair, value, 0, MOST_THREADS);
    else if (named(pair, "ms", &value)) plan.ms = number(pair, value, 1, 20000);
    else if (named(pair, "work", &value)) plan.work = number(pair, value, 0, 1000000);
    else if (named(pair, "count", &value)) plan.count = number(pair, value, 1, 1000000);
    else if (named(pair, "readers", &value)) plan.readers = number(pair, value, 0, MOST_THREADS);
    else if (!strcmp(pair, "writer=none")) plan.writer = WRITER_NONE;
    else if (!strcmp(pair, "writer=1khz")) plan.writer = WRITER_KHZ;
    else if (!strcmp(pair, "writer=flat")) plan.writer = WRITER_FLAT;
    else if (!strcmp(pair, "layout=adjacent")) plan.layout = LAYOUT_ADJACENT;
    else if (!strcmp(pair, "layout=padded")) plan.layout = LAYOUT_PADDED;
    else usage("unknown key or value", pair);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (unsigned i = 0; subjects[i]; i++) printf("%s %s\n", subjects[i]->case_name, subjects[i]->name);
        return 0;
    }
    if (argc < 3) usage("missing", "CASE SUBJECT");
    for (unsigned i = 0; subjects[i]; i++) {
        if (!strcmp(subjects[i]->case_name, argv[1]) && !strcmp(subjects[i]->name, argv[2])) subject = subjects[i];
    }
    if (!subject) usage("unknown case or subject", argv[2]);
    for (int i = 3; i < argc; i++) parse(argv[i]);
    plan.measured = plan.threads;
    plan.others = subject->other && plan.writer != WRITER_NONE;
    alarm(30);
    if (subject->setup) subject->setup();
    if (plan.measured == 0) usage("no thread to measure", "threads=0");
    if (plan.count && (plan.measured > 1 || plan.others)) usage("counts one thread's operations, alone", "count");
    choose_pins();
    size_t size = sizeof(struct worker) * (plan.measured + plan.others);
    struct worker *workers = checked(aligned_alloc(LINE, size));
    memset(workers, 0, size);
    if (plan.count) run_counted(workers);
    else run(workers);
    if (subject->teardown) subject->teardown();
    report(workers);
    free(workers);
    return 0;
}
