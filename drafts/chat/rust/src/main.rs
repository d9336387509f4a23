use std::io::Read;
// stdin: JSON [{"template":..., "context":..., "now":...}] -> [{"text", "spans"} | {"error"}]
fn main() {
    let mut s = String::new();
    std::io::stdin().read_to_string(&mut s).unwrap();
    let reqs: Vec<serde_json::Value> = serde_json::from_str(&s).unwrap();
    let mut out = vec![];
    for r in reqs {
        let ctx = r["context"].as_str().unwrap();
        let now = r["now"].as_i64();
        match chat::chat::render(r["template"].as_str().unwrap(), ctx.as_bytes(), now) {
            Ok(x) => out.push(serde_json::json!({"text": x.text, "spans": x.spans})),
            Err(e) => out.push(serde_json::json!({"error": e})),
        }
    }
    println!("{}", serde_json::Value::Array(out));
}
