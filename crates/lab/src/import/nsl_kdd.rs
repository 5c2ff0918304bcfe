//! NSL-KDD: KDD Cup 1999 without its duplicates. The columns of [`super::kdd99`], no dot behind the label, and behind
//! that how many of 21 learners told the row right (M. Tavallaee et al., *A Detailed Analysis of the KDD CUP 99 Data Set*,
//! 2009). That difficulty was made from the label and is never a feature.

use super::{Format, kdd99};

pub(super) static FORMAT: Format = Format {
    name: "nsl-kdd",
    about: "NSL-KDD: KDDTrain+.txt and its kin, the difficulty kept as an identity column",
    roles_by_option: false,
    read: |job, table| kdd99::read(job, table, "difficulty"),
};
