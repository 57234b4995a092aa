import CMessages
@testable import Messages
import SwiftProtobuf
import SwiftProtobufMessages
import Testing

/// A message type of ours beside swift-protobuf's type of the same message.
struct Peer: Sendable, CustomTestStringConvertible {
  let name: String
  /// Random bytes of the message.
  let randomBytes: @Sendable (_ seed: UInt64, _ hasUnknownFields: Bool) -> [UInt8]
  /// What ours makes of bytes, encoded again.
  let ours: @Sendable ([UInt8]) throws(MessageError) -> [UInt8]
  /// What swift-protobuf makes of bytes, encoded again without fields it does not know.
  let theirs: @Sendable ([UInt8]) throws -> [UInt8]

  var testDescription: String { name }

  init<Ours: Messages.Message & Bridged, Theirs: SwiftProtobuf.Message>(
    _ ours: Ours.Type, _ theirs: Theirs.Type
  ) {
    name = Ours.fullName
    randomBytes = { seed, hasUnknownFields in
      var random = RandomWire(seed: seed, hasUnknownFields: hasUnknownFields)
      return unsafe random.message(Ours.shape)
    }
    self.ours = { bytes throws(MessageError) in try Ours.decode(bytes).encoded }
    self.theirs = { bytes in
      var decoding = BinaryDecodingOptions()
      decoding.discardUnknownFields = true
      var encoding = BinaryEncodingOptions()
      encoding.useDeterministicOrdering = true
      let message = try Theirs(serializedBytes: bytes, options: decoding)
      return try message.serializedBytes(options: encoding)
    }
  }
}

extension Peer {
  static let all: [Peer] = served + samples

  static let served =
    identity + server + experiments + runs + metrics + logs + artifacts + descriptions + links
    + definitions + registry + traces + loggedModels

  private static let server = unsafe [
    Peer(HealthRequest.self, Needletail_Rpc_V1_HealthRequest.self),
    Peer(HealthResponse.self, Needletail_Rpc_V1_HealthResponse.self),
    Peer(ListMethodsRequest.self, Needletail_Rpc_V1_ListMethodsRequest.self),
    Peer(Method.self, Needletail_Rpc_V1_Method.self),
    Peer(ListMethodsResponse.self, Needletail_Rpc_V1_ListMethodsResponse.self),
    Peer(GetDescriptorsRequest.self, Needletail_Rpc_V1_GetDescriptorsRequest.self),
    Peer(GetDescriptorsResponse.self, Needletail_Rpc_V1_GetDescriptorsResponse.self),
    Peer(EchoRequest.self, Needletail_Rpc_V1_EchoRequest.self),
    Peer(EchoResponse.self, Needletail_Rpc_V1_EchoResponse.self),
  ]

  private static let experiments = unsafe [
    Peer(Experiment.self, Needletail_Tracking_V1_Experiment.self),
    Peer(CreateExperimentRequest.self, Needletail_Tracking_V1_CreateExperimentRequest.self),
    Peer(CreateExperimentResponse.self, Needletail_Tracking_V1_CreateExperimentResponse.self),
    Peer(GetExperimentRequest.self, Needletail_Tracking_V1_GetExperimentRequest.self),
    Peer(GetExperimentResponse.self, Needletail_Tracking_V1_GetExperimentResponse.self),
    Peer(ListExperimentsRequest.self, Needletail_Tracking_V1_ListExperimentsRequest.self),
    Peer(ListExperimentsResponse.self, Needletail_Tracking_V1_ListExperimentsResponse.self),
    Peer(UpdateExperimentRequest.self, Needletail_Tracking_V1_UpdateExperimentRequest.self),
    Peer(UpdateExperimentResponse.self, Needletail_Tracking_V1_UpdateExperimentResponse.self),
  ]

  private static let runs = unsafe [
    Peer(Run.self, Needletail_Tracking_V1_Run.self),
    Peer(CreateRunRequest.self, Needletail_Tracking_V1_CreateRunRequest.self),
    Peer(CreateRunResponse.self, Needletail_Tracking_V1_CreateRunResponse.self),
    Peer(GetRunRequest.self, Needletail_Tracking_V1_GetRunRequest.self),
    Peer(GetRunResponse.self, Needletail_Tracking_V1_GetRunResponse.self),
    Peer(ListRunsRequest.self, Needletail_Tracking_V1_ListRunsRequest.self),
    Peer(ListRunsResponse.self, Needletail_Tracking_V1_ListRunsResponse.self),
    Peer(UpdateRunRequest.self, Needletail_Tracking_V1_UpdateRunRequest.self),
    Peer(UpdateRunResponse.self, Needletail_Tracking_V1_UpdateRunResponse.self),
    Peer(FinishRunRequest.self, Needletail_Tracking_V1_FinishRunRequest.self),
    Peer(FinishRunResponse.self, Needletail_Tracking_V1_FinishRunResponse.self),
    Peer(SearchInclude.self, Needletail_Tracking_V1_SearchInclude.self),
    Peer(SearchRunsRequest.self, Needletail_Tracking_V1_SearchRunsRequest.self),
    Peer(FoundRun.self, Needletail_Tracking_V1_FoundRun.self),
    Peer(SearchRunsResponse.self, Needletail_Tracking_V1_SearchRunsResponse.self),
    Peer(CountRunsRequest.self, Needletail_Tracking_V1_CountRunsRequest.self),
    Peer(CountRunsResponse.self, Needletail_Tracking_V1_CountRunsResponse.self),
  ]

  private static let logs = unsafe [
    Peer(RunLogs.self, Needletail_Tracking_V1_RunLogs.self),
    Peer(AppendLogsRequest.self, Needletail_Tracking_V1_AppendLogsRequest.self),
    Peer(AppendLogsResponse.self, Needletail_Tracking_V1_AppendLogsResponse.self),
    Peer(LogLine.self, Needletail_Tracking_V1_LogLine.self),
    Peer(LogFilter.self, Needletail_Tracking_V1_LogFilter.self),
    Peer(ListLogsRequest.self, Needletail_Tracking_V1_ListLogsRequest.self),
    Peer(ListLogsResponse.self, Needletail_Tracking_V1_ListLogsResponse.self),
    Peer(WatchLogsRequest.self, Needletail_Tracking_V1_WatchLogsRequest.self),
    Peer(WatchLogsResponse.self, Needletail_Tracking_V1_WatchLogsResponse.self),
  ]

  private static let metrics = unsafe [
    Peer(MetricSeries.self, Needletail_Tracking_V1_MetricSeries.self),
    Peer(RunMetrics.self, Needletail_Tracking_V1_RunMetrics.self),
    Peer(AppendMetricsRequest.self, Needletail_Tracking_V1_AppendMetricsRequest.self),
    Peer(AppendMetricsResponse.self, Needletail_Tracking_V1_AppendMetricsResponse.self),
    Peer(MetricSummary.self, Needletail_Tracking_V1_MetricSummary.self),
    Peer(RunEpoch.self, Needletail_Tracking_V1_RunEpoch.self),
    Peer(ListRunEpochsRequest.self, Needletail_Tracking_V1_ListRunEpochsRequest.self),
    Peer(ListRunEpochsResponse.self, Needletail_Tracking_V1_ListRunEpochsResponse.self),
    Peer(ListRunMetricsRequest.self, Needletail_Tracking_V1_ListRunMetricsRequest.self),
    Peer(ListRunMetricsResponse.self, Needletail_Tracking_V1_ListRunMetricsResponse.self),
    Peer(GetMetricHistoryRequest.self, Needletail_Tracking_V1_GetMetricHistoryRequest.self),
    Peer(GetMetricHistoryResponse.self, Needletail_Tracking_V1_GetMetricHistoryResponse.self),
    Peer(StreamMetricHistoryRequest.self, Needletail_Tracking_V1_StreamMetricHistoryRequest.self),
    Peer(
      StreamMetricHistoryResponse.self, Needletail_Tracking_V1_StreamMetricHistoryResponse.self),
    Peer(
      DownsampleMetricHistoryRequest.self,
      Needletail_Tracking_V1_DownsampleMetricHistoryRequest.self),
    Peer(MetricBuckets.self, Needletail_Tracking_V1_MetricBuckets.self),
    Peer(
      DownsampleMetricHistoryResponse.self,
      Needletail_Tracking_V1_DownsampleMetricHistoryResponse.self),
    Peer(
      StreamMetricHistoriesRequest.self,
      Needletail_Tracking_V1_StreamMetricHistoriesRequest.self),
    Peer(
      StreamMetricHistoriesResponse.self,
      Needletail_Tracking_V1_StreamMetricHistoriesResponse.self),
    Peer(WatchRunRequest.self, Needletail_Tracking_V1_WatchRunRequest.self),
    Peer(WatchRunResponse.self, Needletail_Tracking_V1_WatchRunResponse.self),
    Peer(WatchExperimentRequest.self, Needletail_Tracking_V1_WatchExperimentRequest.self),
    Peer(RunSummaries.self, Needletail_Tracking_V1_RunSummaries.self),
    Peer(RunEpochs.self, Needletail_Tracking_V1_RunEpochs.self),
    Peer(WatchExperimentResponse.self, Needletail_Tracking_V1_WatchExperimentResponse.self),
  ]

  static let samples = unsafe [
    Peer(Scalars.self, Needletail_Samples_V1_Scalars.self),
    Peer(Optionals.self, Needletail_Samples_V1_Optionals.self),
    Peer(Lists.self, Needletail_Samples_V1_Lists.self),
    Peer(Choice.self, Needletail_Samples_V1_Choice.self),
    Peer(Maps.self, Needletail_Samples_V1_Maps.self),
    Peer(Everything.self, Needletail_Samples_V1_Everything.self),
  ]
}
