public import EventLoop

/// Runs `body` as a task of a loop made for it and returns what it returns; the loop ends with it.
public func onLoop<Value: Sendable>(
  _ body: @escaping @Sendable (Loop) async throws -> Value
) async throws -> Value {
  let group = try LoopGroup(count: 1) { _, _ in }
  let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
    group.mailboxes[0].post { loop in
      loop.spawn {
        do {
          continuation.resume(returning: .success(try await body(loop)))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
  }
  group.stop()
  await group.waitUntilStopped()
  return try result.get()
}
