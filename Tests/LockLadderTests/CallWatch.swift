#if DEBUG
    import CLockLadder

    /// Runs `body`, and after each of this thread's calls into the kernel meanwhile `watcher`: there a test does what
    /// another thread might do just then. Calls that `watcher` makes are not watched.
    func watchingCalls<Result>(_ watcher: @escaping (cll_call, Int32) -> Void, _ body: () -> Result) -> Result {
        let kept = CallWatch(watcher)
        kept.begin()
        defer { cll_watch_calls(nil, nil) }
        return withExtendedLifetime(kept, body)
    }

    /// What is run after a thread's calls into the kernel.
    final class CallWatch {
        private let watch: (cll_call, Int32) -> Void

        init(_ watch: @escaping (cll_call, Int32) -> Void) { self.watch = watch }

        /// From now on until the calling thread ends: whoever calls this keeps the watch alive until then.
        func begin() {
            cll_watch_calls(
                { context, call, result in
                    guard let context else { return }
                    Unmanaged<CallWatch>.fromOpaque(context).takeUnretainedValue().watch(call, result)
                },
                Unmanaged.passUnretained(self).toOpaque()
            )
        }
    }

    /// How often a thread passed the barrier for all.
    func countingBarriers(_ body: () -> Void) -> Int {
        let count = LooseCount()
        watchingCalls({ call, _ in if call == cll_call_barrier { count.add(1) } }, body)
        return count.now
    }
#endif
