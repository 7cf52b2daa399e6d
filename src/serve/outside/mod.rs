//! Shared memory as it is seen, and corrupted, from outside.
//!
//! [`files`] is where the parts of a buffer are, [`segment`] the bytes in them, [`semaphore`] one
//! file by itself. On these stand [`ring_state`], the ring's account and what is in it unread;
//! [`written`], a frame that has to be there; [`space`], memory that has to go back; and
//! [`observing`], what single operations change.
//! [`mapping`] is where a file is in this process's memory, [`name_rules`] what operating systems
//! object to in names.
//!
//! What a dead reader has left, found or made by hand, is a [`relic`].
//!
//! A [`trial`] is a buffer of a step's own, with both ends and the outside in one hand:
//! [`broken_header`], [`free_space`], the [`odd_ring`] and the [`places`] of values are found out with it.

pub mod broken_header;
pub mod files;
pub mod free_space;
pub mod mapping;
pub mod name_rules;
pub mod observing;
pub mod odd_ring;
pub mod places;
pub mod relic;
pub mod ring_state;
pub mod segment;
pub mod semaphore;
pub mod space;
pub mod trial;
pub mod written;
