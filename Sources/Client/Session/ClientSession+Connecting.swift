internal import EventLoop
internal import TLS
internal import Wire

// From a name to Welcome.
extension ClientSession {
  /// Finds the server's addresses and tries them one after the other.
  func dial() {
    if case .address(let address) = PeerName(endpoint.host) {
      addresses = [address]
      // Not at once: the owner does not hold the session yet.
      loop.schedule(after: .zero) { [weak self] in self?.dialNext(nil) }
      return
    }
    let host = endpoint.host
    let loop = loop
    loop.spawn { [weak self] in
      let found = await loop.offload { resolveAddresses(of: host) }
      self?.resolved(found)
    }
  }

  private func resolved(_ found: [String]) {
    guard phase == .dialing else { return }
    guard !found.isEmpty else {
      return close(.refused("The name \(endpoint.host) has no address."))
    }
    addresses = found
    dialNext(nil)
  }

  private func dialNext(_ last: SystemError?) {
    guard phase == .dialing else { return }
    var failure = last
    while !addresses.isEmpty {
      let address = addresses.removeFirst()
      do throws(SystemError) {
        let socket = try Connecting.begin(host: address, port: endpoint.port)
        try loop.register(socket.number, .write, self)
        dialed = consume socket
        return
      } catch {
        failure = error
      }
    }
    let why = failure.map { ": \($0)" } ?? ""
    close(.refused("No connection to \(endpoint.address)\(why)."))
  }

  /// The connection attempt has ended.
  func connected() {
    guard let socket = dialed.take() else { return }
    if let error = socket.takeError() {
      loop.deregister(socket.number)
      // Closed here, before the next attempt.
      _ = consume socket
      return dialNext(error)
    }
    phase = .handshaking
    let number = socket.number
    do throws(TLSError) {
      transport = try Transport(socket, to: PeerName(endpoint.host), context: context)
    } catch {
      loop.deregister(number)
      return close(.tls("TLS with \(endpoint.address) cannot begin: \(error)."))
    }
    handshake()
  }

  func handshake() {
    do throws(TLSError) {
      switch try transport?.handshake() {
      case .done: greet()
      case .wantRead: watch(.read)
      case .wantWrite: watch(.write)
      case nil: break
      }
    } catch {
      let message = "TLS with \(endpoint.address) failed: \(error)."
      switch error.reason {
      case .closedInHandshake, .systemCallFailed: close(.connectionLost(message))
      default: close(.tls(message))
      }
    }
  }

  private func greet() {
    phase = .greeting
    output.hello(machine.hello(apiKey: endpoint.apiKey, client: endpoint.clientName))
    watch(.read)
    flush()
  }

  func watch(_ interest: Interest) {
    guard let number = transport?.number else { return }
    do throws(SystemError) {
      try loop.setInterest(number, interest)
    } catch {
      close(.connectionLost("The socket cannot be watched: \(error)."))
    }
  }
}
