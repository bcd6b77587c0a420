//! Two counters beside a lock.

use crate::harness::{measure_alone, work_outside, Aligned, Worker};
use crate::plan::Plan;
use crate::Subject;

pub const SUBJECTS: &[Subject] = &[("mutex", "std-mutex", std_mutex), ("mutex", "parking-lot", parking_lot)];

fn count(counters: &mut (u64, u64)) {
    counters.0 += 1;
    counters.1 += 1;
}

fn locks(plan: &Plan, worker: &mut Worker, lock: impl FnMut()) {
    let mut x = worker.x;
    worker.dear(lock, || work_outside(&mut x, plan.work));
    worker.x = x;
}

fn std_mutex(plan: Plan) {
    let shared = Aligned(std::sync::Mutex::new((0, 0)));
    measure_alone(&plan, &|worker| locks(&plan, worker, || count(&mut shared.0.lock().unwrap())));
}

fn parking_lot(plan: Plan) {
    let shared = Aligned(parking_lot::Mutex::new((0, 0)));
    measure_alone(&plan, &|worker| locks(&plan, worker, || count(&mut shared.0.lock())));
}
