//! The arguments, and which cpus there are.

use std::process::exit;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    None,
    Khz,
    Flat,
}

/// The arguments, and how many threads of each role run. A case may change the roles.
#[derive(Clone)]
pub struct Plan {
    pub case: String,
    pub subject: String,
    pub threads: u32,
    pub ms: u32,
    pub work: u32,
    pub keys: u32,
    pub callers: u32,
    pub rounds: u32,
    pub readers: u32,
    pub writer: Writer,
    pub measured: u32,
    pub others: u32,
}

pub fn usage(problem: &str) -> ! {
    eprintln!("anchor-rust: {problem}\nusage: anchor-rust --list | CASE SUBJECT [key=value]...");
    exit(64);
}

fn number(pair: &str, text: &str, least: u32, most: u32) -> u32 {
    match text.parse() {
        Ok(value) if (least..=most).contains(&value) => value,
        _ => usage(&format!("no such value: {pair}")),
    }
}

impl Plan {
    pub fn parse(arguments: &[String]) -> Plan {
        let (case, subject, pairs) = match arguments {
            [case, subject, pairs @ ..] => (case, subject, pairs),
            _ => usage("CASE and SUBJECT are missing"),
        };
        let mut plan = Plan {
            case: case.clone(),
            subject: subject.clone(),
            threads: 1,
            ms: 150,
            work: 0,
            keys: 256,
            callers: 64,
            rounds: 40,
            readers: 0,
            writer: Writer::None,
            measured: 1,
            others: 0,
        };
        pairs.iter().for_each(|pair| plan.set(pair));
        plan.measured = plan.threads;
        plan.others = u32::from(plan.writer != Writer::None);
        plan
    }

    fn set(&mut self, pair: &str) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (key, value) {
            ("threads", _) => self.threads = number(pair, value, 0, 256),
            ("ms", _) => self.ms = number(pair, value, 1, 20_000),
            ("work", _) => self.work = number(pair, value, 0, 1_000_000),
            ("keys", _) => self.keys = number(pair, value, 1, 10_000_000),
            ("callers", _) => self.callers = number(pair, value, 1, 1024),
            ("rounds", _) => self.rounds = number(pair, value, 1, 10_000),
            ("readers", _) => self.readers = number(pair, value, 0, 256),
            ("writer", "none") => self.writer = Writer::None,
            ("writer", "1khz") => self.writer = Writer::Khz,
            ("writer", "flat") => self.writer = Writer::Flat,
            _ => usage(&format!("unknown key or value: {pair}")),
        }
    }

    /// One measured thread.
    pub fn alone(mut self) -> Plan {
        self.threads = 1;
        self.measured = 1;
        self
    }
}

pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: the set is plain data that the call fills.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, std::mem::size_of_val(&set), &mut set);
        set
    };
    // SAFETY: every index is below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

pub fn pin(cpu: usize) {
    // SAFETY: the set is plain data, and 0 stands for the calling thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set);
    }
}

/// Ends a run that hangs.
pub fn alarm(seconds: u32) {
    // SAFETY: takes a number.
    unsafe {
        libc::alarm(seconds);
    }
}
