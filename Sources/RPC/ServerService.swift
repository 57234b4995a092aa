internal import EventLoop
internal import Messages
internal import Postgres

/// `needletail.rpc.v1.Server`: what the server says about itself.
struct ServerService: ServerHandlers {

  func health(
    _ request: HealthRequest, _ call: CallContext
  ) async throws(CallError) -> HealthResponse {
    var response = HealthResponse()
    response.server = call.server.settings.software
    response.uptimeUs = Int64(
      clamping: call.loop.now.since(call.server.startedAt).wholeNanoseconds / 1_000)
    response.environment = call.server.settings.environment.rawValue
    response.state = await state(call)
    return response
  }

  /// Asks the database itself: a pool with open connections says nothing about a server behind
  /// them.
  private func state(_ call: CallContext) async -> HealthResponse.State {
    if call.server.isDraining { return .draining }
    do throws(PostgresError) {
      _ = try await call.database.read(call.work, SessionQueries.checkHealth())
      return .ready
    } catch {
      return .databaseAway
    }
  }

  func listMethods(
    _ request: ListMethodsRequest, _ call: CallContext
  ) async throws(CallError) -> ListMethodsResponse {
    var response = ListMethodsResponse()
    response.methods = call.server.router.methods.map { Method($0.descriptor) }
    return response
  }

  func getDescriptors(
    _ request: GetDescriptorsRequest, _ call: CallContext
  ) async throws(CallError) -> GetDescriptorsResponse {
    var response = GetDescriptorsResponse()
    response.fileDescriptorSet = Descriptors.fileDescriptorSet
    return response
  }

  func echo(_ request: EchoRequest, _ call: CallContext) async throws(CallError) -> EchoResponse {
    var response = EchoResponse()
    response.payload = request.payload
    return response
  }
}

extension Method {
  fileprivate init(_ descriptor: MethodDescriptor) {
    self.init()
    name = descriptor.name
    permission = descriptor.permission
    audited = descriptor.isAudited
    kind =
      switch descriptor.kind {
      case .unary: .unary
      case .serverStreaming: .serverStreaming
      case .clientStreaming: .clientStreaming
      case .bidirectional: .bidirectional
      }
    idempotency =
      switch descriptor.idempotency {
      case .read: .read
      case .keyed: .keyed
      case .sequenced: .sequenced
      }
  }
}
