module sluice-benchmark

go 1.25
