internal import EventLoop
internal import Postgres
internal import RPC

/// What the program keeps on one loop.
final class LoopState: ServesConnections {
  let loop: Loop
  let server: LoopServer

  /// The first loop's alone.
  private var acceptor: Acceptor?
  private var listener: Listener?
  private var signals: SignalSource?

  init(_ loop: Loop, _ server: LoopServer) {
    self.loop = loop
    self.server = server
  }

  /// Makes this loop the one that accepts, and that hears of changes elsewhere.
  func lead(
    _ socket: consuming ListeningSocket, _ state: ServerState, _ mailboxes: [Mailbox],
    _ load: LoopLoad
  ) {
    do throws(SystemError) {
      acceptor = try Acceptor(loop, socket, state: state, mailboxes: mailboxes, load: load)
    } catch {
      state.observer.note(.error, "the listening socket cannot be watched: \(error)", [])
    }
    listener = server.database.listen(
      [ChangeFeed.channel],
      onNotification: { _, payload in
        for mailbox in mailboxes {
          mailbox.post { ($0.attachment as? LoopState)?.server.feed.received(payload) }
        }
      },
      onReconnected: {
        for mailbox in mailboxes {
          mailbox.post { ($0.attachment as? LoopState)?.server.feed.receivedNothingForAWhile() }
        }
      })
  }

  /// Tells of the process's signals.
  func watchSignals(_ action: @escaping (ProcessSignal) -> Void) {
    do throws(SystemError) {
      signals = try SignalSource(loop, action)
    } catch {
      server.state.observer.note(.error, "signals cannot be watched: \(error)", [])
    }
  }

  /// Takes no more connections and lets those that are open finish.
  func drain(_ done: @escaping () -> Void) {
    acceptor?.close()
    listener?.close()
    server.drain { [server] in
      server.database.close()
      done()
    }
  }
}
