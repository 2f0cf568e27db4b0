//! Scratch.
use varde_virtual_cameras::*;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arg = |name: &str| std::env::var(name).ok();
    let options = Options {
        count: arg("COUNT").map_or(4, |v| v.parse().unwrap()),
        counter: arg("COUNTER").is_some(),
        video: arg("VIDEO").map_or(Video::Scenes, |v| serde_json::from_value(v.into()).unwrap()),
        delivery: arg("PACED").map_or(Delivery::Burst, |_| Delivery::Paced { packets: 4, micros: 300 }),
        ..Options::default()
    };
    varde_ambient::log_init(varde_ambient::LogFormat::Text);
    run(options, async { tokio::signal::ctrl_c().await.unwrap() }).await.unwrap();
}
