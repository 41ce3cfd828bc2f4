//! Runs cases side by side, each as often as it may be tried, and tells of each when it is done.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc};

use super::pace::HELD_UP_WORDS;
use super::page::Pages;
use super::trunk::Phones;
use crate::ivr::{Case, CaseResult, Loopback, Outcome, Runner, Via};

/// What cases are run with.
#[derive(Debug, Clone)]
pub struct Options {
    /// As many at once.
    pub parallel: usize,
    /// As many tries after a failure.
    pub retries: u32,
    /// For `via: trunk`.
    pub phones: Option<Arc<Phones>>,
    /// For `via: browser`.
    pub pages: Option<Pages>,
}

/// A case to run, with the plan that it asks where it is run in loopback.
pub type Job = (Case, Option<Loopback>);

/// One case is done.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Its place in the list.
    pub index: usize,
    /// What came of it.
    pub result: CaseResult,
}

/// Runs all; `tell` hears of each as it comes. The results are in the order of the jobs.
pub async fn run(
    jobs: Vec<Job>,
    options: &Options,
    mut tell: impl FnMut(&Progress),
) -> Vec<CaseResult> {
    let total = jobs.len();
    let places = Arc::new(Semaphore::new(options.parallel.max(1)));
    let (done, mut results) = mpsc::channel(total.max(1));
    for (index, job) in jobs.into_iter().enumerate() {
        let (options, places, done) = (options.clone(), places.clone(), done.clone());
        tokio::spawn(async move {
            // Closed never: it lives as long as its last owner.
            let _place = places.acquire().await;
            let result = attempts(job, &options).await;
            let _ = done.send(Progress { index, result }).await;
        });
    }
    drop(done);
    let mut all: Vec<Option<CaseResult>> = vec![None; total];
    while let Some(progress) = results.recv().await {
        tell(&progress);
        if let Some(slot) = all.get_mut(progress.index) {
            *slot = Some(progress.result);
        }
    }
    all.into_iter().flatten().collect()
}

async fn attempts(job: Job, options: &Options) -> CaseResult {
    let mut tries = Tries::default();
    loop {
        let mut result = once(job.clone(), options).await;
        result.retries = tries.counted + tries.excused;
        let held_up = result.words().is_some_and(|words| words.contains(HELD_UP_WORDS));
        if result.outcome == Outcome::Passed || !tries.again(held_up, options.retries) {
            return result;
        }
    }
}

/// How often a case was tried again.
#[derive(Debug, Default)]
struct Tries {
    counted: u32,
    /// Where this machine was held up: the far side may be right.
    excused: u32,
}

impl Tries {
    /// Whether a case that failed is tried once more.
    fn again(&mut self, held_up: bool, retries: u32) -> bool {
        if self.counted >= retries {
            return false;
        }
        if held_up && self.excused < MOST_EXCUSED {
            self.excused += 1;
        } else {
            self.counted += 1;
        }
        true
    }
}

/// Tries that do not count.
const MOST_EXCUSED: u32 = 3;

async fn once((case, loopback): Job, options: &Options) -> CaseResult {
    let refused = |case: Case, words: &str| {
        let mut runner = Runner::new(case);
        runner.fail(words);
        runner.into_result()
    };
    match case.via {
        Via::Loopback => {
            let Some(loopback) = loopback else {
                return refused(case, "via: loopback needs `plan`: the dial plan to call into");
            };
            let spare = case.clone();
            let ran = tokio::task::spawn_blocking(move || loopback.run(case, Instant::now()));
            ran.await.unwrap_or_else(|_| refused(spare, "a fault of the test itself"))
        }
        Via::Trunk => match &options.phones {
            Some(phones) => phones.run(case).await,
            None => refused(case, "there is no telephone for via: trunk"),
        },
        Via::Browser => match &options.pages {
            Some(pages) => pages.run(case).await,
            None => refused(case, "via: browser needs a gateway's page: say --url and --token"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_held_up_costs_no_try_but_not_for_ever() {
        let tried = |held_up: bool, retries: u32| {
            let mut tries = Tries::default();
            (0..).take_while(|_| tries.again(held_up, retries)).count()
        };
        assert_eq!([tried(false, 0), tried(false, 2)], [0, 2]);
        assert_eq!([tried(true, 0), tried(true, 1), tried(true, 2)], [0, 4, 5]);
    }
}
