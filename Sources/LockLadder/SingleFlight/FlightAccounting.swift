/// Takes note of a thread's wait for a flight that another caller caused.
///
/// The one place where single-flight tells the contention figures of its waits. It does nothing yet.
///
/// - Parameters:
///   - group: the group's name.
///   - site: where the caller asked.
@inlinable
@inline(__always)
func noteWait(group: StaticString, site: CallSite, nanoseconds: UInt64, hasLeft: Bool) {}
