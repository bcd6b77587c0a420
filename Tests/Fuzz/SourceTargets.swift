internal import ConfigSnapshot

@testable import ConfigFetch

private func spec(_ kind: SourceKind, _ url: String) -> SourceSpec {
    guard let name = SourceName("app") else { fatalError("not a name") }
    return SourceSpec(name: name, kind: kind, url: url, poll: 1...2)
}

/// A key or a prefix of etcd, with and without a user, alone or with a mirror.
func fuzzEtcd(_ bytes: [UInt8]) {
    fuzzReplies(bytes) { setting in
        var source = spec(.etcd, "etcd+http://host/app\(setting & 1 == 0 ? "" : "/")")
        if setting & 2 != 0 { (source.auth.user, source.auth.password) = ("agent", "secret") }
        if setting & 4 != 0 { source.mirrors = ["etcd+http://other/app"] }
        return source
    }
}

func fuzzConsul(_ bytes: [UInt8]) {
    fuzzReplies(bytes) { setting in
        var source = spec(.consul, "consul+http://host/app\(setting & 1 == 0 ? "" : "/")")
        source.hasSignatureBeside = setting & 2 != 0
        return source
    }
}

func fuzzNacos(_ bytes: [UInt8]) {
    fuzzReplies(bytes) { setting in
        var source = spec(.nacos, "nacos+http://host/group/app\(setting & 1 == 0 ? "" : "?namespace=n")")
        if setting & 2 != 0 { (source.auth.user, source.auth.password) = ("agent", "secret") }
        return source
    }
}

/// Origins that serve documents as they are: by HTTP, with a signature beside or without, and by the APIs of AWS.
func fuzzOrigin(_ bytes: [UInt8]) {
    fuzzReplies(bytes) { setting in
        switch setting & 3 {
        case 0, 1:
            var source = spec(.http, "http://host/app.json")
            source.watchWait = setting & 4 == 0 ? nil : 1_000_000_000
            source.hasSignatureBeside = setting & 1 != 0
            return source
        case 2:
            var source = spec(.s3, "s3://bucket/app.json")
            source.endpoint = "http://host"
            return source
        default:
            var source = spec(.appconfig, "appconfig://app/env/profile")
            source.endpoint = "http://host"
            return source
        }
    }
}
