import Messages
import SwiftProtobufMessages

extension Peer {
  static let loggedModels = unsafe [
    Peer(LoggedModelMetric.self, Needletail_Tracking_V1_LoggedModelMetric.self),
    Peer(LoggedModel.self, Needletail_Tracking_V1_LoggedModel.self),
    Peer(CreateLoggedModelRequest.self, Needletail_Tracking_V1_CreateLoggedModelRequest.self),
    Peer(CreateLoggedModelResponse.self, Needletail_Tracking_V1_CreateLoggedModelResponse.self),
    Peer(GetLoggedModelRequest.self, Needletail_Tracking_V1_GetLoggedModelRequest.self),
    Peer(GetLoggedModelResponse.self, Needletail_Tracking_V1_GetLoggedModelResponse.self),
    Peer(UpdateLoggedModelRequest.self, Needletail_Tracking_V1_UpdateLoggedModelRequest.self),
    Peer(UpdateLoggedModelResponse.self, Needletail_Tracking_V1_UpdateLoggedModelResponse.self),
    Peer(DeleteLoggedModelRequest.self, Needletail_Tracking_V1_DeleteLoggedModelRequest.self),
    Peer(DeleteLoggedModelResponse.self, Needletail_Tracking_V1_DeleteLoggedModelResponse.self),
    Peer(UndeleteLoggedModelRequest.self, Needletail_Tracking_V1_UndeleteLoggedModelRequest.self),
    Peer(UndeleteLoggedModelResponse.self, Needletail_Tracking_V1_UndeleteLoggedModelResponse.self),
    Peer(SetLoggedModelTagsRequest.self, Needletail_Tracking_V1_SetLoggedModelTagsRequest.self),
    Peer(SetLoggedModelTagsResponse.self, Needletail_Tracking_V1_SetLoggedModelTagsResponse.self),
    Peer(
      LogLoggedModelParametersRequest.self,
      Needletail_Tracking_V1_LogLoggedModelParametersRequest.self),
    Peer(
      LogLoggedModelParametersResponse.self,
      Needletail_Tracking_V1_LogLoggedModelParametersResponse.self),
    Peer(
      ListLoggedModelMetricsRequest.self,
      Needletail_Tracking_V1_ListLoggedModelMetricsRequest.self),
    Peer(
      ListLoggedModelMetricsResponse.self,
      Needletail_Tracking_V1_ListLoggedModelMetricsResponse.self),
    Peer(LoggedModelDataset.self, Needletail_Tracking_V1_LoggedModelDataset.self),
    Peer(LoggedModelOrder.self, Needletail_Tracking_V1_LoggedModelOrder.self),
    Peer(SearchLoggedModelsRequest.self, Needletail_Tracking_V1_SearchLoggedModelsRequest.self),
    Peer(SearchLoggedModelsResponse.self, Needletail_Tracking_V1_SearchLoggedModelsResponse.self),
    Peer(LoggedModelSeries.self, Needletail_Tracking_V1_LoggedModelSeries.self),
  ]
}
