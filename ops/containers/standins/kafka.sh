#!/usr/bin/env bash
# As the official image: KAFKA_NODE_ID becomes node.id=…, and so on; CLUSTER_ID formats the first time.
set -euo pipefail
env | grep '^KAFKA_' | grep -v '^KAFKA_HEAP_OPTS=' | while IFS='=' read -r name value; do
  key=${name#KAFKA_}
  key=${key,,}
  echo "${key//_/.}=$value"
done > /tmp/server.properties
java=(/opt/java/bin/java -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*')
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c /tmp/server.properties
# shellcheck disable=SC2086 # several options in one variable
exec "${java[@]}" ${KAFKA_HEAP_OPTS:-} kafka.Kafka /tmp/server.properties
