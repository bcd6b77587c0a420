import Foundation
import Synchronization

/// Ctrl-C, or a word to end: what was started has to be stopped all the same.
enum Interrupt {
    private static let raised = Atomic<Int32>(0)

    static var isRaised: Bool { raised.load(ordering: .relaxed) != 0 }

    static func listen() {
        // Made before a handler needs it.
        raised.store(0, ordering: .relaxed)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { Interrupt.raised.store($0, ordering: .relaxed) }
        }
        signal(SIGPIPE, SIG_IGN)
    }
}
