import Messages
import SwiftProtobufMessages

extension Peer {
  static let descriptions = unsafe [
    Peer(Tag.self, Needletail_Tracking_V1_Tag.self),
    Peer(RunSource.self, Needletail_Tracking_V1_RunSource.self),
    Peer(RunFork.self, Needletail_Tracking_V1_RunFork.self),
    Peer(Parameter.self, Needletail_Tracking_V1_Parameter.self),
    Peer(ParameterVersion.self, Needletail_Tracking_V1_ParameterVersion.self),
    Peer(DeleteExperimentRequest.self, Needletail_Tracking_V1_DeleteExperimentRequest.self),
    Peer(DeleteExperimentResponse.self, Needletail_Tracking_V1_DeleteExperimentResponse.self),
    Peer(UndeleteExperimentRequest.self, Needletail_Tracking_V1_UndeleteExperimentRequest.self),
    Peer(UndeleteExperimentResponse.self, Needletail_Tracking_V1_UndeleteExperimentResponse.self),
    Peer(SetExperimentTagsRequest.self, Needletail_Tracking_V1_SetExperimentTagsRequest.self),
    Peer(SetExperimentTagsResponse.self, Needletail_Tracking_V1_SetExperimentTagsResponse.self),
    Peer(ListExperimentTagsRequest.self, Needletail_Tracking_V1_ListExperimentTagsRequest.self),
    Peer(ListExperimentTagsResponse.self, Needletail_Tracking_V1_ListExperimentTagsResponse.self),
    Peer(ReopenRunRequest.self, Needletail_Tracking_V1_ReopenRunRequest.self),
    Peer(ReopenRunResponse.self, Needletail_Tracking_V1_ReopenRunResponse.self),
    Peer(DeleteRunRequest.self, Needletail_Tracking_V1_DeleteRunRequest.self),
    Peer(DeleteRunResponse.self, Needletail_Tracking_V1_DeleteRunResponse.self),
    Peer(UndeleteRunRequest.self, Needletail_Tracking_V1_UndeleteRunRequest.self),
    Peer(UndeleteRunResponse.self, Needletail_Tracking_V1_UndeleteRunResponse.self),
    Peer(SetRunTagsRequest.self, Needletail_Tracking_V1_SetRunTagsRequest.self),
    Peer(SetRunTagsResponse.self, Needletail_Tracking_V1_SetRunTagsResponse.self),
    Peer(ListRunTagsRequest.self, Needletail_Tracking_V1_ListRunTagsRequest.self),
    Peer(ListRunTagsResponse.self, Needletail_Tracking_V1_ListRunTagsResponse.self),
    Peer(LogParametersRequest.self, Needletail_Tracking_V1_LogParametersRequest.self),
    Peer(LogParametersResponse.self, Needletail_Tracking_V1_LogParametersResponse.self),
    Peer(ListRunParametersRequest.self, Needletail_Tracking_V1_ListRunParametersRequest.self),
    Peer(ListRunParametersResponse.self, Needletail_Tracking_V1_ListRunParametersResponse.self),
    Peer(ListParameterHistoryRequest.self, Needletail_Tracking_V1_ListParameterHistoryRequest.self),
    Peer(
      ListParameterHistoryResponse.self, Needletail_Tracking_V1_ListParameterHistoryResponse.self),
    Peer(LogBatchRequest.self, Needletail_Tracking_V1_LogBatchRequest.self),
    Peer(LogBatchResponse.self, Needletail_Tracking_V1_LogBatchResponse.self),
  ]
}
