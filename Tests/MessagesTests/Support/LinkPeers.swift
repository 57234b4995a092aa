import Messages
import SwiftProtobufMessages

extension Peer {
  static let links = unsafe [
    Peer(InputDataset.self, Needletail_Tracking_V1_InputDataset.self),
    Peer(NewRunInput.self, Needletail_Tracking_V1_NewRunInput.self),
    Peer(RunInput.self, Needletail_Tracking_V1_RunInput.self),
    Peer(LogInputsRequest.self, Needletail_Tracking_V1_LogInputsRequest.self),
    Peer(LogInputsResponse.self, Needletail_Tracking_V1_LogInputsResponse.self),
    Peer(AppendDatasetProfileRequest.self, Needletail_Tracking_V1_AppendDatasetProfileRequest.self),
    Peer(
      AppendDatasetProfileResponse.self, Needletail_Tracking_V1_AppendDatasetProfileResponse.self),
    Peer(ReadDatasetProfileRequest.self, Needletail_Tracking_V1_ReadDatasetProfileRequest.self),
    Peer(ReadDatasetProfileResponse.self, Needletail_Tracking_V1_ReadDatasetProfileResponse.self),
    Peer(ListRunInputsRequest.self, Needletail_Tracking_V1_ListRunInputsRequest.self),
    Peer(ListRunInputsResponse.self, Needletail_Tracking_V1_ListRunInputsResponse.self),
    Peer(ListDatasetsRequest.self, Needletail_Tracking_V1_ListDatasetsRequest.self),
    Peer(ExperimentDataset.self, Needletail_Tracking_V1_ExperimentDataset.self),
    Peer(ListDatasetsResponse.self, Needletail_Tracking_V1_ListDatasetsResponse.self),
    Peer(NewRunModel.self, Needletail_Tracking_V1_NewRunModel.self),
    Peer(RunModel.self, Needletail_Tracking_V1_RunModel.self),
    Peer(LogModelsRequest.self, Needletail_Tracking_V1_LogModelsRequest.self),
    Peer(LogModelsResponse.self, Needletail_Tracking_V1_LogModelsResponse.self),
    Peer(ListRunModelsRequest.self, Needletail_Tracking_V1_ListRunModelsRequest.self),
    Peer(ListRunModelsResponse.self, Needletail_Tracking_V1_ListRunModelsResponse.self),
  ]
}
