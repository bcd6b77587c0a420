#if arch(x86_64)
    import LockLadder
    import Testing

    /// Releases stopped before every instruction, while another thread comes for the lock.
    @Suite(.serialized, .enabled(if: !Linked.hasThreadSanitizer, "the sanitizer puts signals off"))
    struct SteppedTests {
        @Test func mutexWakesWhoeverComesDuringItsRelease() async {
            await #expect(processExitsWith: .success) {
                let guarded = Guarded(Mutex("test.stepped.mutex", 0))
                let interleaving = Interleaving(
                    stepped: { begin in guarded.lock.withLock { _ in begin() } },
                    other: { guarded.lock.withLock { $0 += 1 } }
                )
                let findings = try interleaving.check(seed: 1)
                #expect(findings == [])
            }
        }

        @Test func writerIsWokenByAReaderThatLeaves() async {
            await #expect(processExitsWith: .success) {
                let lock = RWLock("test.stepped.reader", 0)
                let interleaving = Interleaving(
                    stepped: { begin in lock.withReadLock { _ in begin() } },
                    other: { lock.withWriteLock { $0 += 1 } }
                )
                let findings = try interleaving.check(seed: 2)
                #expect(findings == [])
            }
        }

        @Test func readerIsWokenByAWriterThatLeaves() async {
            await #expect(processExitsWith: .success) {
                let lock = RWLock("test.stepped.writer", 0)
                let interleaving = Interleaving(
                    stepped: { begin in lock.withWriteLock { _ in begin() } },
                    other: { _ = lock.withReadLock { $0 } }
                )
                let findings = try interleaving.check(seed: 3)
                #expect(findings == [])
            }
        }
    }
#endif
