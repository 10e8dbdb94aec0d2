"""Asks a V2 server everything that Triton's own client can ask a model, and prints what it got as one JSON line.

Usage: v2-client.py HOST:PORT. The models `linear` (FP32 x [-1,2] -> y [-1,1]) and `same` (in_TYPE [-1,2] for
each type, given back as out_TYPE) must be served there. Must never know whether a gateway is in between.
"""

import json
import sys

import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1], concurrency=1)
told = {}


def failure(ask):
    try:
        ask()
        return "no error"
    except triton.InferenceServerException as error:
        return f"{error.status()} {error.message()}"


def ask(rows, binary_in, binary_out, version="", **more):
    data = np.array(rows, dtype=np.float32)
    given = triton.InferInput("x", list(data.shape), "FP32")
    given.set_data_from_numpy(data, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput("y", binary_data=binary_out)]
    return client.infer("linear", [given], model_version=version, outputs=wanted, **more)


told["server"] = [client.is_server_live(), client.is_server_ready(), client.get_server_metadata()]
told["model"] = [client.is_model_ready("linear"), client.is_model_ready("linear", "v1"), client.get_model_metadata("linear")]
told["not there"] = client.is_model_ready("nobody")

told["infer"] = {}
for binary_in in (False, True):
    for binary_out in (False, True):
        result = ask([[1, 2], [3, 4]], binary_in, binary_out, request_id="r-1")
        response = result.get_response()
        told["infer"][f"{binary_in} {binary_out}"] = [
            result.as_numpy("y").tolist(),
            response["id"],
            response["model_name"],
            response["model_version"],
        ]
told["version"] = ask([[1, 2]], True, True, version="v1").get_response()["model_version"]
told["all outputs"] = client.infer(
    "linear", [triton.InferInput("x", [1, 2], "FP32").set_data_from_numpy(np.ones((1, 2), np.float32))]
).as_numpy("y").tolist()
told["query"] = ask([[1, 2]], True, True, query_params={"who": "me"}).as_numpy("y").tolist()

values = {
    "FP64": np.array([[1.5, -2.25]], np.float64),
    "INT64": np.array([[2**53 + 1, -(2**63)]], np.int64),
    "INT32": np.array([[-1, 7]], np.int32),
    "BOOL": np.array([[True, False]], np.bool_),
    "FP16": np.array([[0.5, -1.5]], np.float16),
    "BYTES": np.array([["Zürich", "x" * 300]], dtype=np.object_),
}
told["types"] = {}
for binary in (True, False):
    inputs, outputs = [], []
    for name, value in values.items():
        if name == "FP16" and not binary:
            continue  # this type is for binary tensors, to the client as to Triton
        inputs.append(triton.InferInput(f"in_{name}", [1, 2], name).set_data_from_numpy(value, binary_data=binary))
        outputs.append(triton.InferRequestedOutput(f"out_{name}", binary_data=binary))
    if not binary:
        inputs.append(triton.InferInput("in_FP16", [1, 2], "FP16").set_data_from_numpy(values["FP16"]))
        outputs.append(triton.InferRequestedOutput("out_FP16", binary_data=True))
    result = client.infer("same", inputs, outputs=outputs)
    back = {name: result.as_numpy(f"out_{name}") for name in values}
    told["types"][str(binary)] = {
        name: None if found is None else [one.decode() if isinstance(one, bytes) else one for one in found.flatten().tolist()]
        for name, found in back.items()
    }

told["errors"] = [
    failure(lambda: client.get_model_metadata("nobody")),
    failure(lambda: ask([[1, 2, 3]], True, True)),
    failure(lambda: ask([[1, 2]], True, True, version="v9")),
    failure(lambda: client.get_model_repository_index()),
]
print(json.dumps(told, ensure_ascii=False))
