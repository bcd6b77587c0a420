import Foundation

/// The agent's own configuration, in the forms between which it is reloaded.
struct Configuration {
    enum Form: CaseIterable {
        case plain
        /// One source more, and another one asked less often.
        case more
        /// A mistake in it: to be refused.
        case mistaken
    }

    let directory: URL
    let sources: Sources

    var file: URL { directory.appending(path: "agent.yaml") }
    var runtime: URL { directory.appending(path: "run") }
    var state: URL { directory.appending(path: "state") }

    func write(_ form: Form) throws {
        try text(form).write(to: file, atomically: true, encoding: .utf8)
    }

    private func text(_ form: Form) -> String {
        func url(_ place: String) -> String { sources.origins[place]?.url ?? "" }
        let manners = "timeout: 1500ms, retry: {base: 200ms, max: 1s}"
        let size = "guard: {max_bytes: 256KiB}"
        let etcd = sources.etcd.map { "etcd: {url: \"etcd+http://127.0.0.1:\($0.port)/soak/\", poll: 1s, \(manners)}" }
        let more = "extra: {url: \"file://\(directory.path)/extra.json\", poll: 5s}"
        let script = #"d=$(cat); case $d in *:\"rejected\"*) echo no; exit 1;; *:\"hanging\"*) sleep 60;; esac"#
        let check = "{command: [/bin/sh, -c, '\(script)'], timeout: 1s}"
        let rules =
            "{max_bytes: 256KiB, keys: {plain.limit: {type: integer, maximum: \(Document.highestLimit)}}, check: \(check)}"
        return """
            runtime_dir: \(runtime.path)
            state_dir: \(state.path)
            workers: 2
            limits:
              {connections: 400, connections_per_peer: 200, idle: 20s, request_time: 2s, answer_time: 3s, heartbeat: 2s}
            sources:
              signed:
                {url: "\(url("signed"))", poll: 1s, \(manners), \(size), verify: {keys: \(sources.signer.keys)}}
              plain:
                url: \(url("plain"))
                mirrors: [\(url("mirror"))]
                poll: \(form == .more ? "2s" : "1s")
                max_latency: 1400ms
                timeout: 1500ms
                retry: {base: 200ms, max: 1s}
                guard: \(rules)
              file: {url: "file://\(sources.file.path)", poll: 2s, retry: {base: 200ms, max: 1s}}
              demand: {url: "\(url("demand"))", load: on_demand, idle: 3s, poll: 1s, \(manners), \(size)}
              \(etcd ?? "")
              \(form == .more ? more : "")
            \(form == .mistaken ? "sorces: {}" : "")
            """
    }
}
