//! The filter on the peer port: an eBPF program, its loader, and the same policy in userspace.
