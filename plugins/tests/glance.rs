//! A hit at a glance allocates nothing. In a test of its own, since it counts for the whole program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use corefile::{MemorySources, ParseOptions};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use plugins::setup::Context;
use plugins::{
    Chain, Client, Glance, Next, Plugin, Query, QueryView, Response, ServeError, Transport, registry,
};

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

/// Answers everything with three addresses.
struct One;

#[async_trait]
impl Plugin for One {
    fn name(&self) -> &'static str {
        "one"
    }

    async fn serve(&self, query: &Query, _: Next) -> Result<Response, ServeError> {
        let mut response = Response::new(ResponseCode::NoError, "one");
        let address = |last| Record::from_rdata(query.name.clone(), 300, RData::A(A::new(192, 0, 2, last)));
        response.answers = [1, 2, 3].map(address).to_vec();
        Ok(response)
    }
}

/// The plugins of a server block for `.` with these lines, and `One` behind them.
fn chain(lines: &str) -> Chain {
    let sources = MemorySources::new().with_file("Corefile", format!(". {{\n{lines}\n}}\n"));
    let (corefile, mut diagnostics) =
        corefile::parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    let context = Context {
        directory: ".".into(),
        metrics: Arc::default(),
        nodes: Arc::default(),
        claims: Default::default(),
        fatal: Arc::default(),
    };
    let mut plugins = registry::set_up(&corefile.blocks[0], &context, &mut diagnostics).plugins;
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    plugins.push(Arc::new(One));
    Chain::new(plugins)
}

/// Asserts that hits in the cache of `chain` allocate nothing.
async fn assert_frugal(chain: &Chain) {
    let name = Name::from_ascii("www.example.org.").expect("a name");
    let query =
        Query::internal(name, RecordType::A, DNSClass::IN, false, Instant::now() + Duration::from_secs(5));
    chain.serve(&query).await.expect("an answer");

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

#[tokio::test]
async fn hit_at_a_glance_allocates_nothing() {
    assert_frugal(&chain("cache")).await;
}

#[tokio::test]
async fn plugins_that_judge_and_shape_hits_allocate_nothing_either() {
    let chain = chain(
        "acl sub.example.org example.org {
            block type TXT net 192.0.2.0/24
            allow net 192.0.2.0/24 2001:db8::/32 127.0.0.1
            block
        }
        ratelimit 50000 {
            burst 1000000
        }
        local {
            localhost_prefix on
        }
        any
        chaos
        loadbalance {
            prefer 192.0.2.2
        }
        cache",
    );
    assert_frugal(&chain).await;
}

const HITS: usize = 10_000;
