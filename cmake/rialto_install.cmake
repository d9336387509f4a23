# Installing and find_package(rialto).
