import Messages
import SwiftProtobufMessages

extension Peer {
  static let definitions = unsafe [
    Peer(MetricDefinition.self, Needletail_Tracking_V1_MetricDefinition.self),
    Peer(DefineMetricsRequest.self, Needletail_Tracking_V1_DefineMetricsRequest.self),
    Peer(DefineMetricsResponse.self, Needletail_Tracking_V1_DefineMetricsResponse.self),
    Peer(
      ListMetricDefinitionsRequest.self, Needletail_Tracking_V1_ListMetricDefinitionsRequest.self),
    Peer(
      ListMetricDefinitionsResponse.self,
      Needletail_Tracking_V1_ListMetricDefinitionsResponse.self),
  ]
}
