public import Messages
public import RPC

extension TrackingService {
  /// Appends metric points, durably and exactly once.
  public func appendMetrics(
    _ requests: RequestStream<AppendMetricsRequest>,
    _ responses: ResponseStream<AppendMetricsResponse>, _ call: CallContext
  ) async throws(CallError) {
    try await append(requests, responses, in: MetricGroup.self, call)
  }
}

extension AppendMetricsRequest: AppendRequest {}
extension AppendMetricsResponse: AppendResponse {}
