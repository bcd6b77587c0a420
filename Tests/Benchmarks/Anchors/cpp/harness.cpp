#include "harness.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

SharedPhase shared_phase;
std::string case_name, subject_name;

namespace {

cpu_set_t allowed;
std::barrier<>* ready;
Writer writer_pace;

unsigned bucket_of(std::uint64_t value) {
    if (value < 16) return static_cast<unsigned>(value);
    const unsigned exponent = 63u - static_cast<unsigned>(std::countl_zero(value));
    return (exponent - 3) * 16 + ((value >> (exponent - 4)) & 15);
}

// The first value beyond the bucket, in nanoseconds.
double bucket_end(unsigned bucket) {
    const unsigned next = bucket + 1;
    return (next < 32 ? next : std::ldexp(16 + next % 16, static_cast<int>(next / 16) - 1)) / 1000;
}

std::string text(double value) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.4f", value);
    return buffer;
}

}  // namespace

void Histogram::add(std::chrono::nanoseconds time, unsigned shared_by) {
    counts[bucket_of(static_cast<std::uint64_t>(time.count()) * 1000 / shared_by)]++;
    total++;
}

void Histogram::merge(const Histogram& other) {
    for (unsigned i = 0; i < counts.size(); i++) counts[i] += other.counts[i];
    total += other.total;
}

double Histogram::percentile(double share) const {
    std::uint64_t seen = 0;
    for (unsigned i = 0; i < counts.size(); i++) {
        seen += counts[i];
        if (seen > 0 && static_cast<double>(seen) >= share * static_cast<double>(total)) return bucket_end(i);
    }
    return 0;
}

std::string Histogram::json() const {
    std::string list;
    for (unsigned i = 0; i < counts.size(); i++) {
        if (counts[i] == 0) continue;
        list += (list.empty() ? "[" : ", [") + text(bucket_end(i)) + ", " + std::to_string(counts[i]) + "]";
    }
    return "[" + list + "]";
}

void Worker::begin() {
    until_sample = 1;
    ready->arrive_and_wait();
    started = Clock::now();
}

// The clock is read when the thread itself sees the phase change. What was done in the warm-up is forgotten, unless the
// thread was stuck beyond its end.
bool Worker::enter(Phase seen) {
    const auto now = Clock::now();
    phase = seen;
    if (seen == Phase::stop) {
        elapsed = now - started;
        return false;
    }
    started = now;
    until_sample = 1;
    ops = 0;
    samples = {};
    singles = {};
    return true;
}

void Worker::pause() {
    if (writer_pace == Writer::khz) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

namespace {

void pin(unsigned nth) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth-- != 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

// All measured threads and busy writers have a cpu of their own, or nothing is pinned.
unsigned pinned_of(const Plan& plan) {
    const unsigned busy = plan.measured + (plan.writer == Writer::flat ? plan.others : 0);
    return busy <= static_cast<unsigned>(CPU_COUNT(&allowed)) ? busy : 0;
}

void report(const Plan& plan, const std::vector<Worker>& workers, const Extra& extra) {
    Histogram merged;
    std::chrono::nanoseconds elapsed{};
    std::uint64_t ops = 0, least = UINT64_MAX, most = 0, sum = 0;
    for (const Worker& worker : workers) {
        sum += worker.sum;
        if (worker.index >= plan.measured) continue;
        elapsed += worker.elapsed;
        ops += worker.ops;
        least = std::min(least, worker.ops);
        most = std::max(most, worker.ops);
        merged.merge(worker.samples);
    }
    const double ns = ops == 0 ? 0 : static_cast<double>(elapsed.count()) / static_cast<double>(ops);
    std::printf("{\"case\": \"%s\", \"subject\": \"%s\", \"threads\": %u, \"ns\": %.4f, \"ops\": %llu, ",
                case_name.c_str(), subject_name.c_str(), plan.threads, ns, static_cast<unsigned long long>(ops));
    std::printf("\"p50_ns\": %.3f, \"p99_ns\": %.3f, \"p999_ns\": %.3f, ", merged.percentile(.5),
                merged.percentile(.99), merged.percentile(.999));
    std::printf("\"least\": %llu, \"most\": %llu, \"checksum\": %llu%s}\n", static_cast<unsigned long long>(least),
                static_cast<unsigned long long>(most), static_cast<unsigned long long>(sum),
                extra ? extra(workers).c_str() : "");
}

[[noreturn]] void usage(const std::string& problem) {
    std::fprintf(stderr, "anchor-cpp: %s\nusage: anchor-cpp --list | CASE SUBJECT [key=value]...\n", problem.c_str());
    std::exit(64);
}

unsigned number(std::string_view text, unsigned least, unsigned most) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
        usage("no such value: " + std::string(text));
    }
    return value;
}

void parse(Plan& plan, std::string_view pair) {
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = equals == pair.npos ? "" : pair.substr(equals + 1);
    if (key == "threads") plan.threads = number(value, 0, 256);
    else if (key == "ms") plan.ms = number(value, 1, 20000);
    else if (key == "work") plan.work = number(value, 0, 1000000);
    else if (key == "keys") plan.keys = number(value, 1, 10000000);
    else if (pair == "writer=none") plan.writer = Writer::none;
    else if (pair == "writer=1khz") plan.writer = Writer::khz;
    else if (pair == "writer=flat") plan.writer = Writer::flat;
    else usage("unknown key or value: " + std::string(pair));
}

}  // namespace

void measure(Plan plan, const Role& measured, const Role& other, const Extra& extra) {
    if (!other) plan.others = 0;
    if (plan.measured == 0) usage("no thread to measure");
    std::vector<Worker> workers(plan.measured + plan.others);
    std::barrier barrier(static_cast<std::ptrdiff_t>(workers.size()) + 1);
    ready = &barrier;
    writer_pace = plan.writer;
    sched_getaffinity(0, sizeof allowed, &allowed);
    const unsigned pinned = pinned_of(plan);
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < workers.size(); i++) {
            threads.emplace_back([&, i] {
                if (i < pinned) pin(i);
                workers[i].index = i;
                workers[i].x = 88172645463325252u + i;
                (i < plan.measured ? measured : other)(workers[i]);
                workers[i].sum += workers[i].x;
            });
        }
        barrier.arrive_and_wait();
        std::this_thread::sleep_for(std::chrono::microseconds(plan.ms * 100));
        shared_phase.now.store(Phase::measure, std::memory_order_release);
        std::this_thread::sleep_for(std::chrono::milliseconds(plan.ms));
        shared_phase.now.store(Phase::stop, std::memory_order_release);
    }
    report(plan, workers, extra);
}

std::string extra_writes(const Plan& plan, const std::vector<Worker>& workers) {
    if (plan.others == 0) return "";
    Histogram merged;
    for (unsigned i = 0; i < plan.measured; i++) merged.merge(workers[i].singles);
    const Worker& writer = workers[plan.measured];
    return ", \"extra\": {\"writes\": " + std::to_string(writer.ops) +
           ", \"write_wait_p50_ns\": " + text(writer.samples.percentile(.5)) +
           ", \"write_wait_p99_ns\": " + text(writer.samples.percentile(.99)) +
           ", \"histogram\": " + merged.json() + "}";
}

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments == std::vector<std::string>{"--list"}) {
        for (const Subject& subject : subjects) std::printf("%s %s\n", subject.case_name, subject.name);
        return 0;
    }
    if (arguments.size() < 2) usage("CASE and SUBJECT are missing");
    case_name = arguments[0];
    subject_name = arguments[1];
    Plan plan;
    for (std::size_t i = 2; i < arguments.size(); i++) parse(plan, arguments[i]);
    plan.measured = plan.threads;
    plan.others = plan.writer == Writer::none ? 0 : 1;
    alarm(30);
    for (const Subject& subject : subjects) {
        if (case_name != subject.case_name || subject_name != subject.name) continue;
        subject.run(plan);
        return 0;
    }
    usage("unknown case or subject: " + case_name + " " + subject_name);
}
