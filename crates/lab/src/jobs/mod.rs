//! A queue of tasks that lasts: whoever may write to the lab adds jobs, any number of worker processes do them, and a
//! worker may be killed at any moment.
//!
//! A job is a [`Plan`]: which task, its spec, its inputs by digest, and its seed. A task is a pure function of these
//! ([`tasks`]), so doing it again gives the same bytes, and it does not matter who does it. A worker holds a job by a
//! lease that it renews while it works; when it is killed, the lease runs out and another worker takes the job.
//! Each time a job is taken its *fence* goes up by one, and a result is accepted only together with the fence of the
//! one who took it last: in one transaction, so a worker that was thought dead and comes back changes nothing.
//!
//! ```text
//!            take                 finish
//!  queued ---------> running -----------------> done
//!    ^  ^               |  lease ran out, or the machine was at fault: again, some times
//!    |  +---------------+
//!    |                  |  wrong spec, unreadable input, a panic, or taken too often
//!    +----- retry ----- parked                  cancelled
//! ```
//!
//! [`queue`] knows the states, [`worker`] does the work, [`scratch`] is where it lies meanwhile.

mod plan;
mod queue;
pub(crate) mod scratch;
pub mod tasks;
mod worker;

pub use plan::{Plan, SafeName};
pub use queue::{Claim, Done, Job, Progress, Pulse, Queue, State, Wish};
pub use worker::{Clock, Event, Tally, Until, Worker};
