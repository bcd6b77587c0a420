//! Single-flight the plain way: whoever finds a flight under its key waits for that one's value.

use crate::harness::{measure_alone, Outcome, Worker};
use crate::map::name_of;
use crate::plan::Plan;
use crate::Subject;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::{Duration, Instant};

pub const SUBJECTS: &[Subject] = &[("flight-alone", "rust-condvar", alone), ("flight-crowd", "rust-condvar", crowd)];

type Flight<T> = (Mutex<Option<T>>, Condvar);

struct SingleFlight<T> {
    flights: Mutex<HashMap<String, Arc<Flight<T>>>>,
}

impl<T: Clone> SingleFlight<T> {
    fn new() -> Self {
        SingleFlight { flights: Mutex::new(HashMap::new()) }
    }

    fn call(&self, key: &str, work: impl FnOnce() -> T) -> T {
        let mut flights = self.flights.lock().unwrap();
        if let Some(flight) = flights.get(key).cloned() {
            drop(flights);
            let mut value = flight.0.lock().unwrap();
            while value.is_none() {
                value = flight.1.wait(value).unwrap();
            }
            return value.clone().unwrap();
        }
        let flight = Arc::new((Mutex::new(None), Condvar::new()));
        flights.insert(key.into(), Arc::clone(&flight));
        drop(flights);
        let value = work();
        *flight.0.lock().unwrap() = Some(value.clone());
        flight.1.notify_all();
        self.flights.lock().unwrap().remove(key);
        value
    }
}

fn alone(plan: Plan) {
    let group = SingleFlight::new();
    let key = name_of(0);
    let calls = |worker: &mut Worker| {
        let mut sum = 0u64;
        worker.dear(|| sum = sum.wrapping_add(group.call(&key, || 7)), || ());
        worker.sum = sum;
    };
    measure_alone(&plan.alone(), &calls);
}

/// All callers at once on one key, a new one each round. A sample is what a caller took beyond the work itself.
fn crowd(plan: Plan) {
    let group = SingleFlight::new();
    let flights = AtomicU64::new(0);
    let together = Barrier::new(plan.callers as usize);
    let caller = || {
        let mut mine = Outcome::default();
        for round in 0..plan.rounds {
            let key = name_of(round);
            together.wait();
            let begun = Instant::now();
            let work = group.call(&key, || {
                flights.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                std::thread::sleep(Duration::from_millis(1));
                begun.elapsed()
            });
            let beyond = begun.elapsed().saturating_sub(work);
            mine.samples.add(beyond, 1);
            mine.elapsed += beyond;
            mine.ops += 1;
            mine.checksum += work.as_nanos() as u64;
        }
        mine
    };
    let mut all = Outcome { least: plan.rounds.into(), most: plan.rounds.into(), ..Outcome::default() };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..plan.callers).map(|_| scope.spawn(caller)).collect();
        for mine in callers.into_iter().map(|caller| caller.join().expect("a caller panicked")) {
            all.samples.merge(&mine.samples);
            all.elapsed += mine.elapsed;
            all.ops += mine.ops;
            all.checksum = all.checksum.wrapping_add(mine.checksum);
        }
    });
    let extra = format!(r#""calls": {}, "flights": {}"#, all.ops, flights.into_inner());
    all.print(&Plan { threads: plan.callers, ..plan }, &extra);
}
