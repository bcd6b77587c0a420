//! Two fields that must agree, under a reader-writer lock.

use crate::harness::{measure_with, Aligned, Worker, BATCH, FOLD};
use crate::histogram::Histogram;
use crate::plan::{Plan, Writer};
use crate::Subject;
use std::time::Instant;

pub const SUBJECTS: &[Subject] = &[
    ("rw-read", "std-rwlock", reads_measured::<std::sync::RwLock<Pair>>),
    ("rw-read", "parking-lot", reads_measured::<parking_lot::RwLock<Pair>>),
    ("rw-write", "std-rwlock", writes_measured::<std::sync::RwLock<Pair>>),
    ("rw-write", "parking-lot", writes_measured::<parking_lot::RwLock<Pair>>),
];

#[derive(Clone, Copy)]
struct Pair {
    a: u64,
    b: u64,
}

impl Pair {
    fn new() -> Self {
        Pair { a: 1, b: FOLD }
    }

    #[inline(always)]
    fn checked(self) -> u64 {
        if self.b != self.a.wrapping_mul(FOLD) {
            std::process::exit(70);
        }
        self.a ^ self.b
    }

    fn change(&mut self) {
        self.a += 1;
        self.b = self.a.wrapping_mul(FOLD);
    }
}

trait Lock: Sync {
    fn new() -> Self;
    fn read(&self) -> Pair;
    fn write(&self, change: impl FnOnce(&mut Pair));
}

impl Lock for std::sync::RwLock<Pair> {
    fn new() -> Self {
        Self::new(Pair::new())
    }

    #[inline(always)]
    fn read(&self) -> Pair {
        *self.read().unwrap()
    }

    #[inline(always)]
    fn write(&self, change: impl FnOnce(&mut Pair)) {
        change(&mut self.write().unwrap());
    }
}

impl Lock for parking_lot::RwLock<Pair> {
    fn new() -> Self {
        Self::new(Pair::new())
    }

    #[inline(always)]
    fn read(&self) -> Pair {
        *self.read()
    }

    #[inline(always)]
    fn write(&self, change: impl FnOnce(&mut Pair)) {
        change(&mut self.write());
    }
}

/// Beside a writer one read in 65 is timed alone: a batch's mean would hide who waited.
fn timed_reads(worker: &mut Worker, lock: &impl Lock) {
    for _ in 0..BATCH / 64 {
        let begun = Instant::now();
        worker.sum = worker.sum.wrapping_add(lock.read().checked());
        worker.singles.add(begun.elapsed(), 1);
    }
    worker.ops += u64::from(BATCH / 64);
}

fn write_timing_the_wait(worker: &mut Worker, lock: &impl Lock) {
    let asked = Instant::now();
    lock.write(|pair| {
        let wait = asked.elapsed();
        pair.change();
        worker.samples.add(wait, 1);
    });
}

fn reads_measured<L: Lock>(plan: Plan) {
    let shared = Aligned(L::new());
    let lock = &shared.0;
    let extra = |workers: &[Worker]| {
        let (readers, writers) = workers.split_at(plan.measured as usize);
        writers.first().map_or(String::new(), |writer| extra_writes(readers, writer))
    };
    let reads = |worker: &mut Worker| match plan.writer {
        Writer::None => worker.cheap(|| lock.read().checked()),
        _ => worker.cheap_and(|| lock.read().checked(), 1, |worker| timed_reads(worker, lock)),
    };
    measure_with(&plan, &reads, &|worker| worker.writes(|worker| write_timing_the_wait(worker, lock)), &extra);
}

fn extra_writes(readers: &[Worker], writer: &Worker) -> String {
    let mut singles = Histogram::default();
    readers.iter().for_each(|reader| singles.merge(&reader.singles));
    format!(
        r#""writes": {}, "write_wait_p50_ns": {:.3}, "write_wait_p99_ns": {:.3}, "histogram": {}"#,
        writer.ops,
        writer.samples.percentile(0.5),
        writer.samples.percentile(0.99),
        singles.json(),
    )
}

/// `readers` threads have read once, and idle. These locks know nothing of them; others keep a list.
fn writes_measured<L: Lock>(mut plan: Plan) {
    let shared = Aligned(L::new());
    let lock = &shared.0;
    plan.measured = 1;
    plan.others = plan.readers;
    let idles = |worker: &mut Worker| {
        worker.sum = lock.read().checked();
        worker.idles();
    };
    let extra = |_: &[Worker]| format!(r#""idle_readers": {}"#, plan.readers);
    measure_with(&plan, &|worker| worker.dear(|| lock.write(Pair::change), || ()), &idles, &extra);
}
