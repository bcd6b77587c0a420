//! Reading and publishing a snapshot of 64 bytes.

use crate::harness::{measure, Aligned, Role, Worker, FOLD};
use crate::plan::{Plan, Writer};
use crate::Subject;
use arc_swap::{ArcSwap, Cache};
use crossbeam_epoch as epoch;
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub const SUBJECTS: &[Subject] = &[
    ("snapshot-read", "arc-swap-load", arc_swap_load),
    ("snapshot-read", "arc-swap-load-full", arc_swap_load_full),
    ("snapshot-read", "arc-swap-cache", arc_swap_cache),
    ("snapshot-read", "crossbeam-epoch", |plan| crossbeam(plan, read)),
    ("snapshot-read", "std-rwlock", std_rwlock),
    ("snapshot-read", "parking-lot-rwlock", parking_lot_rwlock),
    ("snapshot-publish", "arc-swap", arc_swap_publish),
    ("snapshot-publish", "crossbeam-epoch", |plan| crossbeam(plan, publish)),
];

struct Payload {
    a: u64,
    b: u64,
    _rest: [u64; 6],
}

impl Payload {
    fn new(version: u64) -> Self {
        Payload { a: version, b: version.wrapping_mul(FOLD), _rest: [0; 6] }
    }

    #[inline(always)]
    fn fold(&self) -> u64 {
        self.a ^ self.b
    }
}

type Publish<'a> = &'a (dyn Fn(u64) + Sync);

/// Readers are measured; a writer, if any, publishes versions 1, 2, 3…
fn read(plan: Plan, reads: Role, publish: Publish) {
    measure(&plan, reads, &|worker| {
        let mut version = 0;
        worker.writes(|_| {
            version += 1;
            publish(version);
        });
    });
}

/// The writer is measured; all others read.
fn publish(mut plan: Plan, reads: Role, publish: Publish) {
    plan.others = plan.threads;
    plan.measured = 1;
    plan.writer = Writer::Flat;
    let publishes: Role = &|worker| {
        let mut version = 0;
        worker.dear(
            || {
                version += 1;
                publish(version)
            },
            || (),
        )
    };
    measure(&plan, publishes, reads);
}

fn arc_swap_with(plan: Plan, run: fn(Plan, Role, Publish), reads: impl Fn(&ArcSwap<Payload>, &mut Worker) + Sync) {
    let current = Aligned(ArcSwap::from_pointee(Payload::new(0)));
    run(plan, &|worker| reads(&current.0, worker), &|version| current.0.store(Arc::new(Payload::new(version))));
}

fn arc_swap_load(plan: Plan) {
    arc_swap_with(plan, read, |current, worker| worker.cheap(|| current.load().fold()));
}

fn arc_swap_load_full(plan: Plan) {
    arc_swap_with(plan, read, |current, worker| worker.cheap(|| current.load_full().fold()));
}

fn cached_reads(current: &ArcSwap<Payload>, worker: &mut Worker) {
    let mut cache = Cache::new(current);
    worker.cheap(move || cache.load().fold()); // moved, or the compiler reads the cache through one pointer more
}

fn arc_swap_cache(plan: Plan) {
    arc_swap_with(plan, read, cached_reads);
}

fn arc_swap_publish(plan: Plan) {
    arc_swap_with(plan, publish, cached_reads);
}

fn crossbeam(plan: Plan, run: fn(Plan, Role, Publish)) {
    let current = Aligned(epoch::Atomic::new(Payload::new(0)));
    let reads: Role = &|worker| {
        worker.cheap(|| {
            let guard = epoch::pin();
            let payload = current.0.load(Ordering::Acquire, &guard);
            // SAFETY: never null, and not freed while the guard lives.
            unsafe { payload.deref() }.fold()
        });
    };
    run(plan, reads, &|version| {
        let guard = epoch::pin();
        let old = current.0.swap(epoch::Owned::new(Payload::new(version)), Ordering::AcqRel, &guard);
        // SAFETY: no longer reachable, and retired once.
        unsafe { guard.defer_destroy(old) };
    });
    // SAFETY: all threads have ended.
    drop(unsafe { current.0.into_owned() });
}

fn std_rwlock(plan: Plan) {
    let current = Aligned(std::sync::RwLock::new(Arc::new(Payload::new(0))));
    let reads: Role = &|worker| worker.cheap(|| current.0.read().unwrap().fold());
    read(plan, reads, &|version| *current.0.write().unwrap() = Arc::new(Payload::new(version)));
}

fn parking_lot_rwlock(plan: Plan) {
    let current = Aligned(parking_lot::RwLock::new(Arc::new(Payload::new(0))));
    let reads: Role = &|worker| worker.cheap(|| current.0.read().fold());
    read(plan, reads, &|version| *current.0.write() = Arc::new(Payload::new(version)));
}
