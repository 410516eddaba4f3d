//! What of a machine is a rank's own, where several are on it.

use std::thread::available_parallelism;

use crate::arguments::{DeviceArgs, DeviceChoice};

/// The flags of a device for the rank `number` of `count` on its machine: a GPU of its own where there are several, a part of
/// the cores. What the flags say stays.
pub(super) fn device(args: &DeviceArgs, (number, count): (usize, usize)) -> DeviceArgs {
    let mut args = args.clone();
    if count == 1 {
        return args;
    }
    let may_be_gpu = match args.device {
        DeviceChoice::Gpu => true,
        DeviceChoice::Auto => args.threads.is_none(),
        DeviceChoice::Cpu | DeviceChoice::Reference => false,
    };
    if may_be_gpu && args.adapter.is_none() {
        let adapters = gannet_gpu::adapters();
        let usable: Vec<usize> =
            adapters.iter().filter(|adapter| adapter.kind != "software").map(|a| a.index).collect();
        args.adapter = own(&usable, number).map(|index| index.to_string());
    }
    if args.adapter.is_none() && args.threads.is_none() {
        let own = available_parallelism().map_or(1, usize::from);
        args.threads = Some(threads(own, online(), count) as u64);
    }
    args
}

/// The adapter of a rank: they take them in turn.
fn own(adapters: &[usize], number: usize) -> Option<usize> {
    (!adapters.is_empty()).then(|| adapters[number % adapters.len()])
}

/// The threads of each of `count` ranks where this process may run on `own` of `all` cores: MPI binds each to some of them, or
/// none is bound and they share all.
fn threads(own: usize, all: usize, count: usize) -> usize {
    own.min((all / count).max(1))
}

/// The cores of this machine, whoever may run on them; as many as there may ever be where it does not say.
fn online() -> usize {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    cores(&list).unwrap_or_else(|| available_parallelism().map_or(1, usize::from))
}

/// How many numbers a list such as `0-3,8` names.
fn cores(list: &str) -> Option<usize> {
    list.trim()
        .split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            Some(last.checked_sub(first)? + 1)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_a_machine_share_it() {
        // Unbound, bound to a core, to a socket, to eight cores each; more ranks than cores.
        for (own, all, count, expected) in
            [(32, 32, 4, 8), (1, 32, 4, 1), (16, 32, 4, 8), (8, 32, 4, 8), (2, 2, 4, 1)]
        {
            assert_eq!(threads(own, all, count), expected, "{own} of {all} cores, {count} ranks");
        }
        assert_eq!([0, 1, 2, 3].map(|rank| own(&[1, 4], rank)), [Some(1), Some(4), Some(1), Some(4)]);
        assert_eq!(own(&[], 1), None);
        assert_eq!(["0-3,8\n", "0", "1-", ""].map(cores), [Some(5), Some(1), None, None]);
    }

    #[test]
    fn what_flags_say_stays() {
        let args = DeviceArgs { device: DeviceChoice::Cpu, threads: Some(5), adapter: None };
        assert_eq!(device(&args, (1, 4)).threads, Some(5));
        let args = DeviceArgs { device: DeviceChoice::Gpu, threads: None, adapter: Some("7".into()) };
        let own = device(&args, (1, 4));
        assert_eq!((own.adapter.as_deref(), own.threads), (Some("7"), None));
        let args = DeviceArgs { device: DeviceChoice::Cpu, threads: None, adapter: None };
        assert_eq!(device(&args, (0, 1)).threads, None);
        assert!(device(&args, (3, 4)).threads.is_some_and(|threads| threads >= 1));
    }
}
