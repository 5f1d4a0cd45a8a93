//! A hit at a glance allocates nothing. In a test of its own, since it counts for the whole program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use plugins::cache::entry::Keeping;
use plugins::cache::handler::{Cache, Config};
use plugins::cache::key::Zones;
use plugins::cache::lifetime::{Bounds, Lifetimes};
use plugins::cache::metrics::Counters;
use plugins::cache::store::Capacity;
use plugins::metrics::Metrics;
use plugins::{Chain, Client, Glance, Next, Plugin, Query, QueryView, Response, ServeError, Transport};

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands every call on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers everything with one address.
struct One;

#[async_trait]
impl Plugin for One {
    fn name(&self) -> &'static str {
        "one"
    }

    async fn serve(&self, query: &Query, _: Next) -> Result<Response, ServeError> {
        let mut response = Response::new(ResponseCode::NoError, "one");
        response.answers = vec![Record::from_rdata(query.name.clone(), 300, RData::A(A::new(192, 0, 2, 1)))];
        Ok(response)
    }
}

fn chain() -> Chain {
    let ttls = Bounds { ttl_max_s: 3600, ttl_min_s: 0 };
    let config = Config {
        zones: Zones::new(&[Name::root()]),
        lifetimes: Lifetimes { success: ttls, denial: ttls, failure_s: 5 },
        capacity: Capacity { success: 1000, denial: 1000, bytes: 64 << 20 },
        prefetch: None,
        keeping: Keeping { stale_window: Duration::ZERO, keep_ttl: false },
        verify: false,
        success_disabled: None,
        denial_disabled: None,
        payload_max: 1232,
    };
    let cache = Cache::new(config, Counters::new(&Metrics::new(), "."));
    Chain::new(vec![Arc::new(cache), Arc::new(One)])
}

#[tokio::test]
async fn hit_at_a_glance_allocates_nothing() {
    let chain = chain();
    let name = Name::from_ascii("www.example.org.").unwrap();
    let query =
        Query::internal(name, RecordType::A, DNSClass::IN, false, Instant::now() + Duration::from_secs(5));
    chain.serve(&query).await.unwrap();

    let wire =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03wWw\x07example\x03org\x00\x00\x01\x00\x01\
        \x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    let address = SocketAddr::from(([192, 0, 2, 1], 40_000));
    let client = Client { address, local: address, transport: Transport::Udp };
    let mut reply = Vec::with_capacity(2048);
    let mut hits = |count: usize| {
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..count {
            let received = Instant::now();
            let view = QueryView::parse(wire, &client, received).expect("a plain query");
            assert_eq!(chain.glance(&view, &mut reply, received), Glance::Answered);
        }
        ALLOCATIONS.with(Cell::get) - before
    };
    hits(1000);
    // A reader does the map's housekeeping once in 64 reads, which allocates now and then; a hit itself does not.
    let allocated = hits(HITS);
    assert!(allocated <= HITS / 100, "{allocated} allocations in {HITS} hits");
}

const HITS: usize = 10_000;
