module ctrio/bench

go 1.22
