/// What kind of thing a source is, by the scheme of its URL.
///
/// A kind is a file in `ConfigFetch/Kinds` with its client, that is named there in `SourceKind.client`; and an entry in
/// `KindSettings`, which says which settings mean something to it.
public enum SourceKind: String, Sendable, CaseIterable {
    case http, https, file, etcd, consul, nacos, s3, appconfig
}
