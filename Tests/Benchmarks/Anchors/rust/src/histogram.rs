//! Log-linear in picoseconds: 16 buckets per power of two.

use std::time::Duration;

pub struct Histogram {
    counts: Box<[u64; 976]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: Box::new([0; 976]), total: 0 }
    }
}

fn bucket_of(value: u64) -> usize {
    if value < 16 {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros() as usize;
    (exponent - 3) * 16 + ((value >> (exponent - 4)) & 15) as usize
}

/// The first value beyond the bucket, in nanoseconds.
fn bucket_end(bucket: usize) -> f64 {
    let next = bucket + 1;
    let picoseconds = if next < 32 { next as f64 } else { (16 + next % 16) as f64 * 2f64.powi(next as i32 / 16 - 1) };
    picoseconds / 1000.0
}

impl Histogram {
    pub fn add(&mut self, time: Duration, shared_by: u32) {
        self.counts[bucket_of(time.as_nanos() as u64 * 1000 / u64::from(shared_by))] += 1;
        self.total += 1;
    }

    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts.iter()).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
    }

    pub fn percentile(&self, share: f64) -> f64 {
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > 0 && seen as f64 >= share * self.total as f64 {
                return bucket_end(bucket);
            }
        }
        0.0
    }

    /// `[[upper_ns, count], …]`
    pub fn json(&self) -> String {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let pairs: Vec<_> = filled.map(|(bucket, count)| format!("[{:.3}, {count}]", bucket_end(bucket))).collect();
        format!("[{}]", pairs.join(", "))
    }
}
