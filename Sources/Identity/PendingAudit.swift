public import Messages
public import RPC

extension IdentityService {
  public func listAuditLogs(
    _ request: ListAuditLogsRequest, _ call: CallContext
  ) async throws(CallError) -> ListAuditLogsResponse { throw pending(call) }

  public func exportAuditLogs(
    _ request: ExportAuditLogsRequest,
    _ responses: ResponseStream<ExportAuditLogsResponse>,
    _ call: CallContext
  ) async throws(CallError) { throw pending(call) }
}
