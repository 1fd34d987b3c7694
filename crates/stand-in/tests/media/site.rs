use super::{ask, get};
use stand_in::{Object, S3, Site, Versioning};

#[test]
fn viewers_get_objects_with_their_headers_and_without_a_signature() {
    let s3 = S3::start();
    s3.create_bucket("public", Versioning::Off);
    let site = Site::start(&s3);
    let steering = Object {
        body: "{}".into(),
        content_type: Some("application/json".to_owned()),
        cache_control: Some("max-age=5".to_owned()),
        ..Object::default()
    };
    s3.put_object("public", "show 1/steering.json", steering);
    let url = format!("{}/public/show%201/steering.json", site.url());
    let page = get(&format!("{url}?_HLS_pathway=A&_HLS_throughput=1000"));
    assert_eq!((page.status, page.text()), (200, "{}"));
    assert_eq!(page.headers["content-type"], "application/json");
    assert_eq!(page.headers["cache-control"], "max-age=5");
    assert_eq!(page.headers["access-control-allow-origin"], "*");
    s3.put("public", "show 1/steering.json", "{\"VERSION\":1}");
    let page = get(&url);
    assert_eq!(
        (page.text(), page.headers.get("cache-control")),
        ("{\"VERSION\":1}", None)
    );
    assert_eq!(ask("OPTIONS", &url, &[]).unwrap().status, 200);
    for path in ["public/absent", "private/steering.json", "public", ""] {
        let page = get(&format!("{}/{path}", site.url()));
        assert_eq!(
            (
                page.status,
                page.headers["access-control-allow-origin"].as_str()
            ),
            (403, "*"),
            "{path}"
        );
    }
    assert!(s3.calls().is_empty());
}
