internal import AgentAPI
internal import CHost
internal import ConfigFetch
internal import ConfigSnapshot

/// This host's clock: certificates, ages and records are judged by it.
enum ClockChecks {
    static func run(_ answers: SourceChecks.Answers) -> [Check] {
        let now = WallClock.nowNanoseconds / 1_000_000_000
        if let check = judgeYear(now: now) { return [check] }
        var checks = [synchronised(chost_clock_state())]
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            guard let ahead = answer.clockAhead else { continue }
            checks.append(judgeOffset("source \(name)", ahead))
        }
        return checks
    }

    private static let set = "set this host's clock, and keep it right: timedatectl set-ntp true; timedatectl status"

    static func judgeYear(now: Int64) -> Check? {
        // 2025-01-01: this program is younger.
        guard now < 1_735_689_600 else { return nil }
        let time = WireTime(unixMilliseconds: now * 1000).description.prefix(10)
        return Check("clock.year", nil, .fail, "this host believes that it is \(time)", advice: set)
    }

    private static func synchronised(_ state: chost_clock) -> Check {
        switch state {
        case CHOST_CLOCK_SYNCHRONISED:
            return Check("clock.synchronised", nil, .ok, "something keeps the clock right")
        case CHOST_CLOCK_UNSYNCHRONISED:
            let found = "the kernel says that nothing keeps this clock right"
            return Check("clock.synchronised", nil, .warn, found, advice: set)
        default:
            return Check("clock.synchronised", nil, .skip, "the kernel does not tell")
        }
    }

    /// - Parameter ahead: the bounds between which the origin's clock is ahead of ours, in seconds.
    static func judgeOffset(_ subject: String, _ ahead: ClosedRange<Int64>) -> Check {
        // The least that it can be: what lies between the bounds is the request's own time.
        let offset = max(ahead.lowerBound, min(0, ahead.upperBound))
        let direction = offset > 0 ? "ahead of" : "behind"
        let found = "its clock is \(abs(offset)) s \(direction) this host's"
        let advice = "find out which of the two is wrong (date -u); \(set)"
        switch abs(offset) {
        case 0...5: return Check("clock.offset", subject, .ok, "its clock and this host's agree to within 5 s")
        case 6...60: return Check("clock.offset", subject, .warn, found, advice: advice)
        default: return Check("clock.offset", subject, .fail, found, advice: advice)
        }
    }
}
