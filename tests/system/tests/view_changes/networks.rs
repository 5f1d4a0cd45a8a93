//! A primary that nobody reaches any more, although it runs.

use std::time::Instant;

use system_tests::privilege;
use system_tests::scene::Scene;

#[test]
fn primary_whose_cable_is_pulled_is_replaced_and_rejoins_when_it_is_back() {
    if !privilege::can("pulling a cable") {
        return;
    }
    let mut scene = Scene::on_a_network();
    let (primary, view) = (scene.primary(1), scene.view(1));
    let cut = Instant::now();
    scene.network.as_ref().expect("this one has a network").cut(primary);
    scene.next_certified(cut, primary);
    scene.ask_again(cut, primary);
    scene.network.as_ref().expect("this one has a network").mend(primary);
    scene.reaches_view(primary, view + 1);
    scene.catches_up(primary);
    scene.end();
}
