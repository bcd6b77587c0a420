//! What every case shares: the threads, the loops that measure, and the line of JSON.

use crate::histogram::Histogram;
use crate::plan::{Plan, Writer};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Barrier;
use std::time::{Duration, Instant};

pub const BATCH: u32 = 256;
const LOCK_BATCH: u32 = 16;
pub const FOLD: u64 = 0x9E37_79B9_7F4A_7C15;

/// On two cache lines of its own: the prefetcher fetches them in pairs.
#[repr(align(128))]
#[derive(Default)]
pub struct Aligned<T>(pub T);

const WARM: u32 = 0;
const MEASURE: u32 = 1;
const STOP: u32 = 2;
static PHASE: Aligned<AtomicU32> = Aligned(AtomicU32::new(WARM));

#[inline(always)]
pub fn step(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    x
}

#[inline(always)]
pub fn work_outside(x: &mut u64, units: u32) {
    for _ in 0..units {
        *x = step(*x);
    }
}

/// One thread of a run.
pub struct Worker<'a> {
    pub index: u32,
    pub ops: u64,
    pub sum: u64,
    pub x: u64,
    pub samples: Histogram,
    pub singles: Histogram,
    elapsed: Duration,
    started: Instant,
    phase: u32,
    until_sample: u32,
    writer: Writer,
    ready: &'a Barrier,
}

impl<'a> Worker<'a> {
    fn new(index: u32, writer: Writer, ready: &'a Barrier) -> Self {
        Worker {
            index,
            ops: 0,
            sum: 0,
            x: 88172645463325252 + u64::from(index),
            samples: Histogram::default(),
            singles: Histogram::default(),
            elapsed: Duration::ZERO,
            started: Instant::now(),
            phase: WARM,
            until_sample: 1,
            writer,
            ready,
        }
    }

    /// Cheap operations, each giving something for the checksum: a sample is the mean of one batch in 61.
    pub fn cheap(&mut self, operation: impl FnMut() -> u64) {
        self.cheap_and(operation, 61, |_| ());
    }

    /// The same with one batch in `every`; `after` runs once per batch.
    pub fn cheap_and(&mut self, mut operation: impl FnMut() -> u64, every: u32, mut after: impl FnMut(&mut Self)) {
        let mut sum = 0u64;
        self.begin();
        while self.goes_on() {
            let begun = self.sample_begin(every);
            for _ in 0..BATCH {
                sum = sum.wrapping_add(operation());
            }
            if let Some(begun) = begun {
                self.samples.add(begun.elapsed(), BATCH);
            }
            self.ops += u64::from(BATCH);
            after(self);
        }
        self.sum = self.sum.wrapping_add(sum);
    }

    /// Dearer operations: every 65th is timed alone. `outside` is part of the pace, not of the sample.
    pub fn dear(&mut self, mut operation: impl FnMut(), mut outside: impl FnMut()) {
        self.begin();
        while self.goes_on() {
            for _ in 0..LOCK_BATCH {
                operation();
                outside();
            }
            self.ops += u64::from(LOCK_BATCH);
            if let Some(begun) = self.sample_begin(4) {
                operation();
                self.samples.add(begun.elapsed(), 1);
                outside();
                self.ops += 1;
            }
        }
    }

    /// A writer's loop: one write, then a pause where it is to be slow.
    pub fn writes(&mut self, mut write: impl FnMut(&mut Self)) {
        self.begin();
        while self.goes_on() {
            write(self);
            self.ops += 1;
            if self.writer == Writer::Khz {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Waits for the end.
    pub fn idles(&mut self) {
        self.begin();
        while self.goes_on() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[inline(always)]
    fn sample_begin(&mut self, every: u32) -> Option<Instant> {
        self.until_sample -= 1;
        if self.until_sample != 0 {
            return None;
        }
        self.until_sample = every;
        Some(Instant::now())
    }

    #[inline(always)]
    fn goes_on(&mut self) -> bool {
        let seen = PHASE.0.load(Ordering::Acquire);
        seen == self.phase || self.enter(seen)
    }

    fn begin(&mut self) {
        self.ready.wait();
        self.started = Instant::now();
    }

    /// The clock is read when the thread itself sees the phase change. What was done in the warm-up is forgotten,
    /// unless the thread was stuck beyond its end.
    #[cold]
    fn enter(&mut self, seen: u32) -> bool {
        let now = Instant::now();
        self.phase = seen;
        if seen == STOP {
            self.elapsed = now - self.started;
            return false;
        }
        self.started = now;
        self.until_sample = 1;
        self.ops = 0;
        self.samples = Histogram::default();
        self.singles = Histogram::default();
        true
    }
}

pub type Role<'a> = &'a (dyn Fn(&mut Worker) + Sync);

/// Runs the threads of both roles and gives what they counted, the measured ones first.
fn run<'a>(plan: &Plan, measured: Role, other: Role, ready: &'a Barrier) -> Vec<Worker<'a>> {
    let allowed = crate::plan::allowed_cpus();
    let busy = plan.measured + if plan.writer == Writer::Flat { plan.others } else { 0 };
    let pinned = if busy as usize <= allowed.len() { busy } else { 0 };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.measured + plan.others)
            .map(|index| {
                let allowed = &allowed;
                scope.spawn(move || {
                    if index < pinned {
                        crate::plan::pin(allowed[index as usize]);
                    }
                    let mut worker = Worker::new(index, plan.writer, ready);
                    if index < plan.measured {
                        measured(&mut worker);
                    } else {
                        other(&mut worker);
                    }
                    worker.sum = worker.sum.wrapping_add(worker.x);
                    worker
                })
            })
            .collect();
        ready.wait();
        std::thread::sleep(Duration::from_micros(u64::from(plan.ms) * 100));
        PHASE.0.store(MEASURE, Ordering::Release);
        std::thread::sleep(Duration::from_millis(u64::from(plan.ms)));
        PHASE.0.store(STOP, Ordering::Release);
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    })
}

/// Runs one role as the plan says and prints the line.
pub fn measure_alone(plan: &Plan, measured: Role) {
    measure(&Plan { others: 0, ..plan.clone() }, measured, &|_| ());
}

/// Runs both roles as the plan says and prints the line.
pub fn measure(plan: &Plan, measured: Role, other: Role) {
    measure_with(plan, measured, other, &|_| String::new());
}

/// The same; `extra` makes the fields of the object of that name, or nothing.
pub fn measure_with(plan: &Plan, measured: Role, other: Role, extra: &dyn Fn(&[Worker]) -> String) {
    if plan.measured == 0 {
        crate::plan::usage("no thread to measure");
    }
    let ready = Barrier::new((plan.measured + plan.others + 1) as usize);
    let workers = run(plan, measured, other, &ready);
    let mut result = Outcome { least: u64::MAX, ..Outcome::default() };
    for worker in &workers[..plan.measured as usize] {
        result.samples.merge(&worker.samples);
        result.elapsed += worker.elapsed;
        result.ops += worker.ops;
        result.least = result.least.min(worker.ops);
        result.most = result.most.max(worker.ops);
    }
    result.checksum = workers.iter().fold(0, |sum, worker| sum.wrapping_add(worker.sum));
    result.print(plan, &extra(&workers));
}

/// What all measured threads did together.
#[derive(Default)]
pub struct Outcome {
    pub elapsed: Duration,
    pub ops: u64,
    pub samples: Histogram,
    pub least: u64,
    pub most: u64,
    pub checksum: u64,
}

impl Outcome {
    pub fn print(&self, plan: &Plan, extra: &str) {
        let ns = self.elapsed.as_nanos() as f64 / self.ops.max(1) as f64;
        print!(r#"{{"case": "{}", "subject": "{}", "threads": {}, "#, plan.case, plan.subject, plan.threads);
        print!(r#""ns": {ns:.4}, "ops": {}, "p50_ns": {:.3}, "#, self.ops, self.samples.percentile(0.5));
        print!(r#""p99_ns": {:.3}, "#, self.samples.percentile(0.99));
        print!(r#""p999_ns": {:.3}, "least": {}, "#, self.samples.percentile(0.999), self.least);
        print!(r#""most": {}, "checksum": {}"#, self.most, self.checksum);
        if !extra.is_empty() {
            print!(r#", "extra": {{{extra}}}"#);
        }
        println!("}}");
    }
}
